import { type Logger, createLogger } from '../runtime/log/index.ts';
import { type Metrics, createMetrics } from '../runtime/metrics/index.ts';
import { type HostPort, defineOptions, formatHostPort } from '../runtime/options/index.ts';
import { type Readiness, serveHealth } from '../runtime/serve/index.ts';
import type { CommandContext } from './command.ts';

/** Options that every process of ours has. */
export const daemonOptions = defineOptions({
  'log-level': {
    type: 'choice',
    choices: ['debug', 'info', 'warn', 'error'],
    default: 'info',
    help: 'Least level that is logged',
  },
  'log-format': {
    type: 'choice',
    choices: ['text', 'json'],
    default: 'text',
    help: 'Form of a log line, on standard error',
  },
  'metrics-address': { type: 'address', help: 'Serve /metrics, /healthz and /readyz here; nowhere unless given' },
});

export interface DaemonValues {
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly logFormat: 'text' | 'json';
  readonly metricsAddress: HostPort | undefined;
}

/** What a process needs before it does anything of its own. Disposing of it closes the health server. */
export interface Daemon extends AsyncDisposable {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** What `/readyz` answers from now on; not ready until the first call. */
  reportReadiness(ready: () => Readiness | Promise<Readiness>): void;
}

export async function openDaemon(context: CommandContext, values: DaemonValues, component: string): Promise<Daemon> {
  // Stores, state and sockets of ours are nobody else's business.
  process.umask(0o077);
  const log = createLogger(
    { level: values.logLevel, format: values.logFormat, clock: context.clock, write: context.stderr },
    { component },
  );
  const metrics = createMetrics({ prefix: 'isthmus_', process: true });
  let readiness: () => Readiness | Promise<Readiness> = () => ({ ready: false, waitingFor: ['start'] });
  const health = values.metricsAddress
    ? await serveHealth({ ...values.metricsAddress, metrics, ready: () => readiness() })
    : undefined;
  if (health) log.info('Serving metrics and health', { address: formatHostPort(health.address) });
  return {
    log,
    metrics,
    reportReadiness: (ready) => {
      readiness = ready;
    },
    [Symbol.asyncDispose]: async () => await health?.[Symbol.asyncDispose](),
  };
}

/** True for an address that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
