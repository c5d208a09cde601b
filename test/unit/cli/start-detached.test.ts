import { describe, expect, test } from '@jest/globals';
import { startDetached } from '../../../cli/lab/start-detached.ts';

interface Outcome {
  readonly code?: number;
  readonly error?: string;
  readonly shown: string;
}

/** Starts this script in the background, as `lab up` starts a lab. */
async function start(script: string, signal = new AbortController().signal): Promise<Outcome> {
  const shown: string[] = [];
  const context = { signal, stderr: (text: string) => void shown.push(text) };
  try {
    const code = await startDetached(['-e', script], context);
    return { code, shown: shown.join('') };
  } catch (error) {
    return { error: String(error), shown: shown.join('') };
  }
}

describe('a process that is started in the background', () => {
  test.each([1, 2])(
    'and gives up with %i hands on its exit code and its words',
    async (code) => {
      const words = 'isthmus: eBPF needs root\n  run it as root, or without packets: --kernel memory\n';
      expect(await start(`process.stderr.write(${JSON.stringify(words)}); process.exit(${code})`)).toEqual({
        code,
        shown: words,
      });
    },
    60_000,
  );

  test('and dies of an error that nobody caught shows it', async () => {
    const { code, shown } = await start("throw new Error('the disk is full')");
    expect([code, shown]).toEqual([1, expect.stringContaining('Error: the disk is full')]);
  }, 60_000);

  test('and ends without a word, or by a signal, is said to have ended so', async () => {
    expect(await start('process.exit(2)')).toEqual({
      error: "Error: The lab's process ended (2) before the mesh was up",
      shown: '',
    });
    expect(await start("process.stderr.write('half a '); process.kill(process.pid, 'SIGKILL')")).toEqual({
      error: "Error: The lab's process ended (SIGKILL) before the mesh was up",
      shown: 'half a ',
    });
  }, 60_000);

  test('shows the end of what it said, however much that was', async () => {
    const { code, shown } = await start(
      "process.stderr.write('x'.repeat(1e5)); process.stderr.write('the end'); process.exit(2)",
    );
    expect([code, shown.length, shown.endsWith('xthe end')]).toEqual([2, 16_384, true]);
  }, 60_000);

  test('shows its progress and gives 0 when it says that it is ready', async () => {
    const script = "process.send({ progress: 'half' }); process.send({ ready: true }); process.disconnect()";
    expect(await start(script)).toEqual({ code: 0, shown: 'lab: half\n' });
  }, 60_000);

  test('is told to end when the caller wants no more', async () => {
    const stopping = new AbortController();
    const outcome = start('setInterval(() => {}, 1000)', stopping.signal);
    stopping.abort();
    expect((await outcome).error).toBe('Error: The lab was stopped before the mesh was up');
  }, 60_000);
});
