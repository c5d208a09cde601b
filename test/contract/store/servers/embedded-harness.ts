import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Engine,
  type EtcdServer,
  type EtcdStoreOptions,
  type ServeEtcdOptions,
  type Store,
  openEmbeddedEngine,
  openEtcdStore,
  serveEtcd,
} from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import type { Guarded, OpenedStore } from '../suite/index.ts';
import { behindProxies } from './breakable.ts';
import { impatient } from './etcd-harness.ts';

const dependencies = { clock: systemClock, log: silentLogger };

export interface EmbeddedHarnessOptions {
  readonly scheme?: 'http' | 'https';
  readonly serve?: Pick<ServeEtcdOptions, 'tls' | 'users'>;
  readonly client?: Pick<EtcdStoreOptions, 'tls'>;
  readonly guarded?: () => Promise<Guarded>;
  readonly dispose?: () => Promise<void>;
}

/** The embedded store in this process, asked over the etcd v3 API. */
export async function openEmbedded(options: EmbeddedHarnessOptions = {}): Promise<OpenedStore> {
  const { scheme = 'http', serve = {}, client = {}, guarded } = options;
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-contract-'));
  const directory = join(folder, 'data');
  let port = 0;
  let running: { readonly engine: Engine; readonly server: EtcdServer };
  const start = async (): Promise<void> => {
    const engine = await openEmbeddedEngine({ directory, ...dependencies });
    const listen = { host: '127.0.0.1', port };
    const server = await serveEtcd({ engine, listen, closeGraceMs: 0, ...serve, ...dependencies });
    running = { engine, server };
    ({ port } = server.address());
  };
  const stop = async (): Promise<void> => {
    await running.server[Symbol.asyncDispose]();
    await running.engine[Symbol.asyncDispose]();
  };
  /** Starts again on what `change` left of the directory. */
  const startAgain = async (change: () => void): Promise<void> => {
    await stop();
    change();
    await start();
  };
  const connect = (at: number, more: Partial<EtcdStoreOptions> = {}): Store =>
    openEtcdStore({ endpoints: [`${scheme}://127.0.0.1:${at}`], ...client, ...dependencies, ...more });
  await start();
  const store = connect(port);
  return {
    store,
    another: async () => connect(port),
    compact: (revision) => running.engine.compact(revision),
    revokeLease: (id) => running.engine.leaseRevoke(id),
    disturb: {
      restart: async () => {
        await startAgain(() => undefined);
        return store;
      },
      breakable: () => behindProxies([{ host: '127.0.0.1', port }], ([at = 0]) => connect(at, impatient)),
      wipe: () => startAgain(() => rmSync(directory, { recursive: true })),
      backup: async () => {
        const copy = mkdtempSync(join(folder, 'copy-'));
        await startAgain(() => cpSync(directory, copy, { recursive: true }));
        return () =>
          startAgain(() => {
            rmSync(directory, { recursive: true });
            cpSync(copy, directory, { recursive: true });
          });
      },
      ...(guarded ? { guarded } : {}),
    },
    dispose: async () => {
      await store[Symbol.asyncDispose]();
      await stop();
      rmSync(folder, { recursive: true, force: true });
      await options.dispose?.();
    },
  };
}
