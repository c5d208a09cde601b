import type { EtcdStore } from '../../../../kvstore/index.ts';
import { type TcpProxy, startTcpProxy } from '../../../support/tcp-proxy.ts';
import { Mirror, writeMany } from './mirror.ts';
import { type Subject, clientOf } from './subjects.ts';

/** Where everything happens. */
export const prefix = 'cilium/state/ip/v1/';
/** A client that is soon out of patience. A real etcd ends connections that ask so often; they are made anew. */
export const quick = { pingIntervalMs: 400, pingTimeoutMs: 300, dialTimeoutMs: 500 };

/** A server, a proxy in front of it, a client that goes around the proxy and one that goes through it. */
export class Scene implements AsyncDisposable {
  readonly subject: Subject;
  readonly proxy: TcpProxy;
  readonly direct: EtcdStore;
  readonly through: EtcdStore;

  constructor(subject: Subject, proxy: TcpProxy, options: Parameters<typeof clientOf>[1]) {
    this.subject = subject;
    this.proxy = proxy;
    this.direct = clientOf(subject);
    this.through = clientOf({ host: '127.0.0.1', port: proxy.port }, options);
  }

  /** Follows the prefix through the proxy, with a few keys there that nobody ever deletes. */
  async mirror(options: { readonly pageSize?: number } = {}): Promise<Mirror> {
    await writeMany(this.direct, `${prefix}stable/`, 20);
    const mirror = new Mirror(this.through, prefix, options);
    await mirror.agreesWith(this.direct, prefix);
    return mirror;
  }

  async cutOff(): Promise<void> {
    await this.proxy.set('refuse');
    this.proxy.cut();
  }

  /** A read finds the new connection; a write must not be repeated, so it would fail with the old one. */
  async wipe(): Promise<void> {
    await this.subject.wipe();
    await this.direct.get('anything');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.through[Symbol.asyncDispose]();
    await this.direct[Symbol.asyncDispose]();
    await this.proxy[Symbol.asyncDispose]();
    await this.subject[Symbol.asyncDispose]();
  }
}

export async function openScene(
  start: () => Promise<Subject>,
  options: Parameters<typeof clientOf>[1] = {},
): Promise<Scene> {
  const subject = await start();
  return new Scene(subject, await startTcpProxy(subject), options);
}
