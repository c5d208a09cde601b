import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Engine,
  type EtcdServer,
  type EtcdStoreOptions,
  EtcdStore,
  openEmbeddedEngine,
  openEtcdStore,
  serveEtcd,
} from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { etcdctl, startEtcd } from '../../../support/etcd.ts';

/** A server that can be treated badly. */
export interface Subject extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  compact(revision: number): Promise<void>;
  /** Ends it at once. */
  kill(): Promise<void>;
  /** Starts it again on its data. */
  restart(): Promise<void>;
  /** Ends it, forgets its data and starts it again under the same name and address. */
  wipe(): Promise<void>;
  /** Keeps a copy of its data, for {@link restore}. Ends it and starts it again for that. */
  backup(): Promise<void>;
  /** Ends it, puts the copy in the place of its data and starts it again. */
  restore(): Promise<void>;
  /** Freezes it, where that is possible. */
  pause?(): void;
  resume?(): void;
}

export function clientOf(
  target: { readonly host: string; readonly port: number },
  options: Partial<EtcdStoreOptions> = {},
): EtcdStore {
  return openEtcdStore({
    endpoints: [`http://${target.host}:${target.port}`],
    clock: systemClock,
    log: silentLogger,
    ...options,
  });
}

/** Real etcd: after a wipe it has the same cluster id and member id as before. */
export async function etcdSubject(flags: readonly string[] = []): Promise<Subject> {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-faults-'));
  const etcd = await startEtcd({ dataDir: join(directory, 'data'), flags });
  return {
    host: etcd.host,
    port: etcd.port,
    compact: async (revision) => {
      const { code, stderr } = await etcdctl(etcd.endpoint, ['compact', `${revision}`]);
      if (code !== 0) throw new Error(stderr);
    },
    kill: () => etcd.kill(),
    restart: () => etcd.restart(),
    wipe: async () => {
      await etcd.kill();
      rmSync(etcd.dataDir, { recursive: true, force: true });
      await etcd.restart();
    },
    backup: async () => {
      await etcd.stop();
      cpSync(etcd.dataDir, join(directory, 'backup'), { recursive: true });
      await etcd.restart();
    },
    restore: async () => {
      await etcd.kill();
      rmSync(etcd.dataDir, { recursive: true, force: true });
      cpSync(join(directory, 'backup'), etcd.dataDir, { recursive: true });
      await etcd.restart();
    },
    pause: () => etcd.pause(),
    resume: () => etcd.resume(),
    [Symbol.asyncDispose]: async () => {
      await etcd[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** The embedded store, served in this process. */
export async function embeddedSubject(): Promise<Subject> {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-faults-'));
  const dependencies = { clock: systemClock, log: silentLogger };
  let port = 0;
  let running: { readonly engine: Engine; readonly server: EtcdServer } | undefined;
  const start = async (): Promise<void> => {
    const engine = await openEmbeddedEngine({ directory: join(directory, 'data'), ...dependencies });
    const server = await serveEtcd({ engine, listen: { host: '127.0.0.1', port }, closeGraceMs: 0, ...dependencies });
    running = { engine, server };
    port = server.address().port;
  };
  const stop = async (): Promise<void> => {
    await running?.server[Symbol.asyncDispose]();
    await running?.engine[Symbol.asyncDispose]();
    running = undefined;
  };
  await start();
  return {
    host: '127.0.0.1',
    port,
    compact: async (revision) => void (await running?.engine.compact(revision)),
    kill: stop,
    restart: start,
    wipe: async () => {
      await stop();
      rmSync(join(directory, 'data'), { recursive: true, force: true });
      await start();
    },
    backup: async () => {
      await stop();
      cpSync(join(directory, 'data'), join(directory, 'backup'), { recursive: true });
      await start();
    },
    restore: async () => {
      await stop();
      rmSync(join(directory, 'data'), { recursive: true, force: true });
      cpSync(join(directory, 'backup'), join(directory, 'data'), { recursive: true });
      await start();
    },
    [Symbol.asyncDispose]: async () => {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
