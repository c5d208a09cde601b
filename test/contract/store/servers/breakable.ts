import type { Store } from '../../../../kvstore/index.ts';
import { type TcpProxy, startTcpProxy } from '../../../support/tcp-proxy.ts';
import type { Breakable } from '../suite/index.ts';

/** A client of these servers with a proxy before each of them. */
export async function behindProxies(
  servers: readonly { readonly host: string; readonly port: number }[],
  connect: (ports: readonly number[]) => Store,
): Promise<Breakable> {
  const proxies: readonly TcpProxy[] = await Promise.all(servers.map((server) => startTcpProxy(server)));
  const all = (change: (proxy: TcpProxy) => Promise<void>): Promise<unknown> => Promise.all(proxies.map(change));
  const cut = (): void => {
    for (const proxy of proxies) proxy.cut();
  };
  const store = connect(proxies.map(({ port }) => port));
  return {
    store,
    cut,
    cutAtByte: (count) => {
      for (const proxy of proxies) proxy.cutAtByte(count);
    },
    cutOff: async () => {
      await all((proxy) => proxy.set('refuse'));
      cut();
    },
    hang: async () => void (await all((proxy) => proxy.set('black-hole'))),
    mend: async () => {
      await all((proxy) => proxy.set('pass'));
      // What was swallowed is missing in the middle of these connections.
      cut();
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await all(async (proxy) => proxy[Symbol.asyncDispose]());
    },
  };
}
