import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

/** A TCP proxy on loopback that counts what it brings to clients, and can cut them all off at once. */
export interface CountingProxy extends AsyncDisposable {
  readonly endpoint: string;
  /** Bytes brought to clients so far. */
  readonly bytes: number;
  /** Ends all connections that are open. */
  cut(): number;
}

export async function countingProxy(target: { readonly host: string; readonly port: number }): Promise<CountingProxy> {
  let bytes = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target);
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => {
        open.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    upstream.on('data', (chunk) => (bytes += chunk.length));
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const cut = (): number => {
    const count = open.size / 2;
    for (const socket of open) socket.destroy();
    return count;
  };
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get bytes() {
      return bytes;
    },
    cut,
    [Symbol.asyncDispose]: () => {
      cut();
      server.close();
      return Promise.resolve();
    },
  };
}
