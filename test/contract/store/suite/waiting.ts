/** Generous, since it only bounds a failure: nothing is measured here. */
const ordinaryPatienceMs = 120_000;
let patienceMs = ordinaryPatienceMs;

/** Waits until `check` holds, looking again every few milliseconds. */
export async function eventually(check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`Not so after ${patienceMs} ms: ${check.toString()}`);
    await pause(10);
  }
}

/** Lets {@link eventually} give up earlier while `run` runs: for what is known to fail. */
export async function withPatience<T>(ms: number, run: () => Promise<T>): Promise<T> {
  patienceMs = ms;
  try {
    return await run();
  } finally {
    patienceMs = ordinaryPatienceMs;
  }
}

/** Something that goes on until it is stopped, or its owner leaves. */
export interface Load extends AsyncDisposable {
  stop(): Promise<void>;
}

/** Runs `step` again and again, one after another. @throws from `stop` what a step threw */
export function again(step: (i: number) => Promise<unknown>): Load {
  const stopping = new AbortController();
  const done = (async () => {
    for (let i = 0; !stopping.signal.aborted; i++) {
      await step(i);
      // A store in memory answers without a turn of the event loop: others want theirs.
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  done.catch(() => undefined);
  const stop = (): Promise<void> => {
    stopping.abort();
    return done;
  };
  return { stop, [Symbol.asyncDispose]: () => stop().catch(() => undefined) };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
