import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine } from '../../kvstore/contract/index.ts';
import { openEmbeddedEngine } from '../../kvstore/embedded/index.ts';
import { type EtcdServer, type ServeEtcdOptions, serveEtcd } from '../../kvstore/etcd/serve/index.ts';
import { MemoryEngine } from '../../kvstore/memory/index.ts';
import { systemClock } from '../../runtime/clock/index.ts';
import { silentLogger } from '../../runtime/log/index.ts';

export type EngineKind = 'memory' | 'embedded';

/** One of our engines behind the etcd API on a free port of loopback. Disposing ends both and removes the data. */
export interface ServedEngine extends AsyncDisposable {
  readonly engine: Engine;
  readonly server: EtcdServer;
  readonly port: number;
  /** As `127.0.0.1:PORT`. */
  readonly endpoint: string;
}

export async function serveEngine(
  kind: EngineKind,
  options: Partial<ServeEtcdOptions> & { readonly wrap?: (engine: Engine) => Engine } = {},
): Promise<ServedEngine> {
  const clock = systemClock;
  const directory = kind === 'embedded' ? mkdtempSync(join(tmpdir(), 'isthmus-served-')) : undefined;
  const engine = directory
    ? await openEmbeddedEngine({ directory, clock, log: silentLogger })
    : new MemoryEngine({ clock });
  const { wrap = (same) => same, ...others } = options;
  const server = await serveEtcd({
    engine: wrap(engine),
    listen: { host: '127.0.0.1', port: 0 },
    log: silentLogger,
    clock,
    ...others,
  });
  const { port } = server.address();
  return {
    engine,
    server,
    port,
    endpoint: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
      if (directory) rmSync(directory, { recursive: true, force: true });
    },
  };
}
