/**
 * What tests have left behind on a machine: processes, namespaces, devices, pins, control groups, mounts, temporary folders.
 *
 *     node left-behind.mjs look MARK FILE     before: notes what is there
 *     node left-behind.mjs compare MARK FILE  after: prints what has come since, ends the processes among it; exit code 1 then
 *
 * MARK is a word in the environment of the test run (`ISTHMUS_TEST_RUN`), which every process that it starts inherits: one
 * whose parent has ended is known by nothing else. The run has a folder of its own for what is temporary (`TMPDIR`).
 */
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/** Caches of programs, of which the tests are not the owners. */
const caches = /^(jest|node-compile-cache|v8-compile-cache|go-build|npm-)/;

/** What is there now, each thing by the one line that names it. */
export function state(mark) {
  const mounts = mountPoints();
  return [
    ...markedProcesses(mark).map(({ pid, command }) => `process ${pid}: ${command}`),
    ...names('/run/netns').map((name) => `network namespace ${name}`),
    ...names('/sys/class/net').map((name) => `device ${name}`),
    ...names('/sys/fs/bpf').map((name) => `pin ${name}`),
    ...mounts
      .filter(({ type }) => type === 'cgroup2')
      .flatMap(({ path }) => folders(path, 4))
      .map((path) => `control group ${path}`),
    ...mounts.map(({ path }) => `mount ${path}`),
    ...names(tmpdir())
      .filter((name) => !caches.test(name))
      .map((name) => `temporary ${name}`),
  ];
}

/** Every process of the test run but this one and its shell. */
export function markedProcesses(mark) {
  return names('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid && Number(name) !== process.ppid)
    .filter((pid) => read(`/proc/${pid}/environ`).split('\0').includes(`ISTHMUS_TEST_RUN=${mark}`))
    .map((pid) => ({
      pid: Number(pid),
      command: read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim().slice(0, 200),
    }));
}

function names(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return []; // not on this machine
  }
}

function folders(root, depth) {
  if (depth === 0) return [];
  return names(root)
    .map((name) => join(root, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory())
    .flatMap((path) => [path, ...folders(path, depth - 1)]);
}

/** The fifth word of a line is where it is mounted, the first behind ` - ` its file system: proc_pid_mountinfo(5). */
function mountPoints() {
  const lines = read('/proc/self/mountinfo').split('\n').filter(Boolean);
  return lines.map((line) => ({ path: line.split(' ')[4] ?? '', type: line.split(' - ')[1]?.split(' ')[0] }));
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // it has ended meanwhile, or is not ours to read
  }
}

const [script, verb, mark, file] = process.argv.slice(1);
if (basename(script ?? '') === 'left-behind.mjs') {
  if (verb === 'look') writeFileSync(file, JSON.stringify(state(mark)));
  if (verb === 'compare') {
    const before = new Set(JSON.parse(readFileSync(file, 'utf8')));
    const come = () => state(mark).filter((line) => !before.has(line));
    // What is about to end may take a moment to be gone.
    if (come().length > 0) await setTimeout(3000);
    const left = come();
    for (const line of left) console.log(`left behind: ${line}`);
    for (const { pid } of markedProcesses(mark)) process.kill(pid, 'SIGKILL');
    if (left.length > 0) process.exitCode = 1;
  }
}
