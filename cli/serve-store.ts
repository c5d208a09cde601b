import type { Clock } from '../runtime/clock/index.ts';
import type { Logger } from '../runtime/log/index.ts';
import type { Metrics } from '../runtime/metrics/index.ts';
import { type HostPort, formatHostPort } from '../runtime/options/index.ts';
import { ListenError } from '../runtime/serve/index.ts';
import { type Engine, type EtcdServer, MemoryEngine, openEmbeddedEngine, serveEtcd } from '../kvstore/index.ts';

/** What a served store needs of its process. */
export interface ServeDependencies {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The engine of a process that is a store: in a directory, or in memory without one. */
export async function openEngine(directory: string | undefined, { clock, log }: ServeDependencies): Promise<Engine> {
  return directory === undefined
    ? new MemoryEngine({ clock, log })
    : await openEmbeddedEngine({ directory, clock, log });
}

/** Serves an engine over the etcd v3 API. @throws {ListenError} when the address cannot be had. */
export async function serveEngine(engine: Engine, listen: HostPort, deps: ServeDependencies): Promise<EtcdServer> {
  try {
    return await serveEtcd({ engine, listen, ...deps });
  } catch (error) {
    if (error instanceof Error && 'syscall' in error && error.syscall === 'listen' && 'code' in error)
      throw new ListenError(formatHostPort(listen), String(error.code), { cause: error });
    throw error;
  }
}
