/**
 * Items of several generators as they come. A generator goes on only after its item was taken, so that at most one of each
 * is held. The first failure is thrown; to end the generators is their owner's.
 */
export async function* merge<T>(generators: readonly AsyncGenerator<T, void, void>[]): AsyncGenerator<T, void, void> {
  const arrived: Arrival<T>[] = [];
  let wake: (() => void) | undefined;
  const arrive = (arrival: Arrival<T>): void => {
    arrived.push(arrival);
    wake?.();
  };
  const pull = (generator: AsyncGenerator<T, void, void>): void => {
    generator.next().then(
      (result) => arrive({ generator, result }),
      (error: unknown) => arrive({ generator, error }),
    );
  };
  for (const generator of generators) pull(generator);
  for (let open = generators.length; open > 0;) {
    const next = arrived.shift();
    if (!next) {
      await new Promise<void>((resolve) => (wake = resolve));
      wake = undefined;
      continue;
    }
    if ('error' in next) throw next.error;
    if (next.result.done) open -= 1;
    else {
      yield next.result.value;
      pull(next.generator);
    }
  }
}

type Arrival<T> = { readonly generator: AsyncGenerator<T, void, void> } & (
  | { readonly result: IteratorResult<T, void> }
  | { readonly error: unknown }
);
