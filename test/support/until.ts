import { setImmediate as turn } from 'node:timers/promises';

/**
 * Waits until a condition holds, a turn of the event loop at a time. Bounded: a loop that outlived its test would keep
 * jest from ending.
 * @param between done before every look but the first, such as advancing a virtual clock
 */
export async function until(
  holds: () => boolean | Promise<boolean>,
  between: () => unknown = () => undefined,
): Promise<void> {
  const giveUpMs = performance.now() + 50_000;
  while (!(await holds())) {
    if (performance.now() > giveUpMs) throw new Error(`This did not come true in 50 seconds: ${String(holds)}`);
    await between();
    await turn();
  }
}
