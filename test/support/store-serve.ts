import { join } from 'node:path';
import { type EtcdProcess, freePort } from './etcd.ts';
import { ServerProcess, started } from './server-process.ts';

const isthmus = new URL('../../bin/isthmus', import.meta.url).pathname;

/** `isthmus store serve` on loopback, for those who take an etcd. Disposing of it removes its data. */
export async function startStoreServe(flags: readonly string[] = []): Promise<EtcdProcess> {
  return started(async () => new StoreServe(await freePort(), flags));
}

class StoreServe extends ServerProcess implements EtcdProcess {
  readonly host = '127.0.0.1';
  readonly port: number;

  constructor(port: number, flags: readonly string[]) {
    super({
      title: 'The store',
      name: 'store-serve',
      binary: isthmus,
      args: () => ['store', 'serve', '--data-dir', this.dataDir, '--listen', `${this.host}:${port}`, ...flags],
      isReady: async () => (await fetch(`${this.endpoint}/readyz`)).status === 200,
      readyMs: 120_000,
    });
    this.port = port;
  }

  get endpoint(): string {
    return `http://${this.host}:${this.port}`;
  }

  get securePort(): number {
    return this.port;
  }

  get dataDir(): string {
    return join(this.folder, 'data');
  }
}
