import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../runtime/clock/index.ts';
import type { LabReport, LabStatus } from '../../lab/index.ts';
import { type RowSpec, type Suite, type SuiteContext } from '../suite.ts';

const isthmus = fileURLToPath(new URL('../../bin/isthmus', import.meta.url));
const name = `bench-${process.pid}`;
const idleSeconds = 20;

const less = { better: 'less' } as const;
const once: readonly RowSpec[] = [
  { name: 'lab: whole run with --once', unit: 's', ...less, bar: 40 },
  { name: 'lab: mesh up', unit: 's', ...less, bar: 15 },
  { name: 'lab: first answer across clusters', unit: 's', ...less },
  { name: 'lab: pod pairs without answer', unit: 'pairs', ...less, bar: 0 },
  { name: 'lab: packets with pod addresses at the router', unit: 'packets', ...less, bar: 0 },
  { name: 'lab: failed requests in steady state', unit: 'requests', ...less, bar: 0 },
  { name: 'lab: failed requests while local backends stop', unit: 'requests', ...less, bar: 0 },
  { name: 'lab: requests of the least asked service in failover', unit: 'requests', better: 'more', bar: 1000 },
  { name: 'lab: longest gap between answers in failover', unit: 'ms', ...less },
];
const idle: RowSpec = { name: 'lab: CPU of the busiest idle agent', unit: '% of a core', ...less, bar: 1 };

/** Two clusters, the Online Boutique, the real kernel: what `npm start -- --once` promises. */
export const suite: Suite = {
  name: 'lab',
  summary: 'a whole lab with --once, and agents that have nothing to do (needs root)',
  rows: [...once, idle],
  measure: async (context) => {
    context.note('isthmus lab run --once');
    try {
      await measureOnce(context);
    } catch (error) {
      for (const row of once) context.fail(row.name, error);
    }
    context.note(`an idle lab for ${idleSeconds} s`);
    await measureIdle(context);
  },
};

async function measureOnce({ record, signal }: SuiteContext): Promise<void> {
  const started = systemClock.monotonicMs();
  const report = (await ask(['lab', 'run', '--once', '-o', 'json', '--name', name], signal)) as LabReport;
  const seconds = (systemClock.monotonicMs() - started) / 1000;
  const { connectivity, services, failover, timings } = report;
  const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
  const values = [
    seconds,
    timings.upMs / 1000,
    (timings.firstCrossClusterMs ?? Number.NaN) / 1000,
    connectivity.pairs - connectivity.ok,
    connectivity.strayPackets,
    sum(services.map((service) => service.failed)),
    sum(failover.map((service) => service.failed)),
    Math.min(...failover.map((service) => service.requests)),
    Math.max(...failover.map((service) => service.blackoutMs)),
  ];
  for (const [i, row] of once.entries()) record(row.name, { value: values[i] ?? Number.NaN });
}

async function measureIdle({ record, signal }: SuiteContext): Promise<void> {
  await run(['lab', 'up', '--name', name], signal);
  try {
    const cpu = async (): Promise<ReadonlyMap<string, number>> => {
      const { processes } = (await ask(['lab', 'status', '-o', 'json', '--name', name], signal)) as LabStatus;
      return new Map(processes.filter(({ role }) => role.endsWith('/agent')).map(({ role, cpuMs }) => [role, cpuMs]));
    };
    // The work of starting is no idleness.
    await systemClock.sleep(5000, signal);
    const [before, from] = [await cpu(), systemClock.monotonicMs()];
    await systemClock.sleep(idleSeconds * 1000, signal);
    const [after, to] = [await cpu(), systemClock.monotonicMs()];
    const shares = [...after].map(([role, ms]) => (100 * (ms - (before.get(role) ?? 0))) / (to - from));
    if (shares.length === 0) throw new Error('The lab shows no agent');
    record(idle.name, { value: Math.max(...shares) });
  } finally {
    await run(['lab', 'down', '--name', name], undefined);
  }
}

async function ask(args: readonly string[], signal: AbortSignal): Promise<unknown> {
  return JSON.parse(await run(args, signal));
}

/** Standard output of a command. An exit code other than 0 counts only when it said nothing: reports judge themselves. */
function run(args: readonly string[], signal: AbortSignal | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: 1 << 26, ...(signal ? { signal, killSignal: 'SIGTERM' as const } : {}) };
    execFile(isthmus, args, options, (error, stdout, stderr) => {
      if (error && stdout === '') reject(new Error(stderr.trim().split('\n').at(-1) ?? error.message));
      else resolve(stdout);
    });
  });
}
