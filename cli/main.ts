import { readFileSync } from 'node:fs';
import { systemClock } from '../runtime/clock/index.ts';
import { reasonOf } from '../runtime/files/index.ts';
import { type CommandContext, NobodyReads } from './command.ts';
import { runCommandLine } from './run.ts';
import { tree } from './tree.ts';

/** npm hands on the Ctrl-C that the terminal has sent to everybody already: what comes this soon is the same one. */
const echoMs = 1000;
const stopping = new AbortController();
let stoppedAt = 0;
function stop(reason: string | NobodyReads): void {
  if (stopping.signal.aborted) return;
  stoppedAt = systemClock.monotonicMs();
  stopping.abort(typeof reason === 'string' ? new DOMException(reason, 'AbortError') : reason);
}
for (const [name, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
] as const)
  process.on(name, () => {
    if (stopping.signal.aborted && systemClock.monotonicMs() - stoppedAt > echoMs) process.exit(128 + number);
    stop(`Stopped by ${name}`);
  });
// A lab's processes have a pipe as standard input whose other end the lab holds: it ends however the lab ends.
if (process.env['ISTHMUS_END_WITH_STDIN'] === '1') {
  const ended = (): void => stop('The process that started this one has gone');
  process.stdin.on('end', ended).on('error', ended).resume();
}
// `isthmus get ips | head` closes the pipe early, which is no error. Nobody is there to be answered then, so the command ends,
// in an orderly way: a lab removes what it made.
let unwritten = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE' && !unwritten) {
    unwritten = true;
    process.stderr.write(`isthmus: Cannot write to standard output: ${reasonOf(error)}\n`);
  }
  stop(new NobodyReads());
});
// What is said by the way may go unheard: `npm start 2>&1 | head`, or a terminal that was closed.
process.stderr.on('error', () => undefined);

const { stdout } = process;
const context: CommandContext = {
  stdout: (text) => void stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  stdin: () => process.stdin,
  env: process.env,
  clock: systemClock,
  signal: stopping.signal,
  get terminal() {
    // A terminal that does not know its size says 0.
    return stdout.isTTY ? { columns: stdout.columns || 80, rows: stdout.rows || 24 } : undefined;
  },
};
const code = await runCommandLine(tree, process.argv.slice(2), version(), context);
// What a pipe has not taken yet would go with the process: 64 KiB is all that it holds.
await new Promise<void>((resolve) => void stdout.write('', () => resolve()));
process.exit(code === 0 && unwritten ? 1 : code);

function version(): string {
  // Beside cli/ in a checkout, two folders up from dist/cli/ in the published package.
  for (const path of ['../package.json', '../../package.json'])
    try {
      const found: unknown = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (typeof found === 'object' && found !== null && 'version' in found) return String(found.version);
    } catch {
      continue;
    }
  return 'unknown';
}
