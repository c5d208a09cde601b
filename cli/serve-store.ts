import type { Clock } from '../runtime/clock/index.ts';
import type { Logger } from '../runtime/log/index.ts';
import type { Metrics } from '../runtime/metrics/index.ts';
import { type HostPort, formatHostPort } from '../runtime/options/index.ts';
import { ListenError, type Readiness } from '../runtime/serve/index.ts';
import { linkedController } from '../runtime/tasks/index.ts';
import { type Engine, type EtcdServer, MemoryEngine, openEmbeddedEngine, serveEtcd } from '../kvstore/index.ts';
import type { EngineSettings } from './engine-options.ts';
import { type ServeSecurity, openServedUsers } from './serve-security.ts';

/** What a served store needs of its process. */
export interface ServeDependencies {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The engine of a process that is a store: in a directory, or in memory without one. */
export async function openEngine(
  directory: string | undefined,
  settings: EngineSettings,
  { clock, log }: ServeDependencies,
): Promise<Engine> {
  return directory === undefined
    ? new MemoryEngine({ clock, log })
    : await openEmbeddedEngine({ directory, ...settings, clock, log });
}

export interface ServeEngineOptions {
  readonly listen: HostPort;
  readonly security: ServeSecurity;
  /** The cluster whose store it is: its users are known then. */
  readonly clusterName?: string | undefined;
}

/** Serves an engine over the etcd v3 API. @throws {ListenError} when the address cannot be had. @throws {AuthFileError} */
export async function serveEngine(
  engine: Engine,
  { listen, security, clusterName }: ServeEngineOptions,
  deps: ServeDependencies,
): Promise<EtcdServer> {
  const tls = security.kind === 'cleartext' ? {} : { tls: security.tls };
  const users = await openServedUsers(security, engine, clusterName, deps);
  try {
    const server = await serveEtcd({ engine, listen, ...tls, ...(users ? { users } : {}), ...deps });
    return {
      address: () => server.address(),
      [Symbol.asyncDispose]: async () => {
        await server[Symbol.asyncDispose]();
        await users?.[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await users?.[Symbol.asyncDispose]();
    if (error instanceof Error && 'syscall' in error && error.syscall === 'listen' && 'code' in error)
      throw new ListenError(formatHostPort(listen), String(error.code), { cause: error });
    throw error;
  }
}

/** Not ready while writes are refused. */
export async function engineReadiness(engine: Engine): Promise<Readiness> {
  const { problem } = await engine.status();
  return problem ? { ready: false, waitingFor: [problem.message] } : { ready: true };
}

/** Runs until `signal` aborts. @throws {StoreBrokenError} as soon as the engine cannot be written to any more. */
export async function whileWritable(
  engine: Engine | undefined,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  using running = linkedController(signal);
  const stop = (): void => running.abort(engine?.broken.reason);
  if (engine?.broken.aborted) stop();
  else engine?.broken.addEventListener('abort', stop, { once: true });
  try {
    await run(running.signal);
  } finally {
    engine?.broken.removeEventListener('abort', stop);
    // What else goes wrong then comes of it.
    engine?.broken.throwIfAborted();
  }
}
