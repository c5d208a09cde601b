import type { EtcdStoreOptions, Store } from '../../../../kvstore/index.ts';
import { type TcpProxy, startTcpProxy } from '../../../support/tcp-proxy.ts';
import { Mirror, writeMany } from './mirror.ts';
import { type Subject, clientOf } from './subjects.ts';

/** Where everything happens. */
export const prefix = 'cilium/state/ip/v1/';
/** A client that is soon out of patience. A real etcd ends connections that ask so often; they are made anew. */
export const quick = { pingIntervalMs: 400, pingTimeoutMs: 300, dialTimeoutMs: 500 };

/** Takes a case: its title, and what has to go through. */
export type Owe = (title: string, run: () => Promise<void>) => void;
/** Opens a scene whose client through the proxy has these options. */
export type StartScene = (options?: Partial<EtcdStoreOptions>) => Promise<Scene>;

/** What is wrong with the client that goes through the proxy; the one that goes around it is as it should be. */
export interface Flaw {
  readonly options?: (options: Partial<EtcdStoreOptions>) => Partial<EtcdStoreOptions>;
  readonly wrap?: (store: Store) => Store;
}

/** A server, a proxy in front of it, a client that goes around the proxy and one that goes through it. */
export class Scene implements AsyncDisposable {
  readonly subject: Subject;
  readonly proxy: TcpProxy;
  readonly direct: Store;
  readonly through: Store;
  readonly #flaw: Flaw;

  constructor(subject: Subject, proxy: TcpProxy, options: Partial<EtcdStoreOptions>, flaw: Flaw) {
    this.subject = subject;
    this.proxy = proxy;
    this.#flaw = flaw;
    this.direct = clientOf(subject);
    this.through = this.another(options);
  }

  /** One more client that goes through the proxy. */
  another(options: Partial<EtcdStoreOptions> = {}): Store {
    const { options: change = (given) => given, wrap = (store) => store } = this.#flaw;
    return wrap(clientOf({ host: '127.0.0.1', port: this.proxy.port }, change(options)));
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
  options: Partial<EtcdStoreOptions> = {},
  flaw: Flaw = {},
): Promise<Scene> {
  const subject = await start();
  return new Scene(subject, await startTcpProxy(subject), options, flaw);
}
