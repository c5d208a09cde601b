/**
 * Calls `run` for each item, in their order and at most `limit` at a time. After a failure no other is begun; it is thrown once those
 * under way have ended.
 */
export async function atMost<T>(limit: number, items: Iterable<T>, run: (item: T) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  const work = async (): Promise<void> => {
    for (let next = left.next(); !next.done && !failure; next = left.next())
      try {
        await run(next.value);
      } catch (error) {
        failure ??= { error };
      }
  };
  await Promise.all(Array.from({ length: limit }, work));
  if (failure) throw failure.error;
}
