import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';

/** What happens to connections; the proxy changes its mind at any time. */
export type ProxyMode =
  | 'pass'
  /** Nothing listens: connecting is refused. */
  | 'refuse'
  /** Connections are taken, bytes are swallowed, in both directions. */
  | 'black-hole'
  /** Connections are taken and closed at once. */
  | 'accept-then-close';

/**
 * A TCP proxy on loopback that breaks what goes through it, in the ways a network does.
 *
 * @example
 * await using proxy = await startTcpProxy({ host: '127.0.0.1', port });
 * proxy.cut();
 */
export class TcpProxy implements AsyncDisposable {
  #target: { readonly host: string; readonly port: number };
  readonly #pairs = new Set<Pair>();
  #server: Server | undefined;
  #port = 0;
  #mode: ProxyMode = 'pass';
  #delayMs = 0;
  #cutAtByte: number | undefined;
  #atByte: 'cut' | 'reset' | 'stall' = 'cut';
  #holdAfter: number | undefined;
  readonly #host: string;
  /** Connections accepted so far. */
  connections = 0;

  /** @param listen where it listens: any free port of 127.0.0.1 unless told. */
  constructor(
    target: { readonly host: string; readonly port: number },
    listen: { readonly host?: string; readonly port?: number } = {},
  ) {
    this.#target = target;
    this.#host = listen.host ?? '127.0.0.1';
    this.#port = listen.port ?? 0;
  }

  get port(): number {
    return this.#port;
  }

  get endpoint(): string {
    return `http://${this.#host}:${this.#port}`;
  }

  /** Connections open at present. */
  get open(): number {
    return this.#pairs.size;
  }

  async listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, this.#host, resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Changes what happens from now on. Black holes swallow on open connections, too. */
  async set(mode: ProxyMode): Promise<void> {
    this.#mode = mode;
    if (mode === 'refuse') this.#stopListening();
    else if (!this.#server) await this.listen();
  }

  /** New connections go there from now on. */
  redirect(target: { readonly host: string; readonly port: number }): void {
    this.#target = { host: target.host, port: target.port };
  }

  /** Every byte takes this long from now on, in each direction. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Ends all open connections; with `reset`, by RST instead of FIN. */
  cut(options: { readonly reset?: boolean } = {}): void {
    for (const pair of this.#pairs) pair.end(options.reset === true);
  }

  /** Ends the next connection that has brought this many bytes to the client, right after them. Works once. */
  cutAtByte(count: number, options: { readonly reset?: boolean } = {}): void {
    this.#cutAtByte = count;
    this.#atByte = options.reset === true ? 'reset' : 'cut';
  }

  /** True while a cut or stall at a byte is still to come. */
  get armed(): boolean {
    return this.#cutAtByte !== undefined;
  }

  /** As {@link cutAtByte}, but the connection stays open, and says and hears nothing any more. */
  stallAtByte(count: number): void {
    this.#cutAtByte = count;
    this.#atByte = 'stall';
  }

  /** What comes for the client that has said this many bytes first is kept from then on, and goes on its way with {@link release}. */
  holdAfter(count: number): void {
    this.#holdAfter = count;
  }

  /** What was held goes on its way, and everything after it. */
  release(): void {
    for (const pair of this.#pairs) pair.release();
  }

  /** The connections that are open now say and hear nothing any more, as when the other end has gone without a word. */
  stall(): void {
    for (const pair of this.#pairs) pair.stalled = true;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.cut({ reset: true });
    this.#stopListening();
    return Promise.resolve();
  }

  /** The port is free at once; open connections go on. */
  #stopListening(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  #accept(client: Socket): void {
    this.connections += 1;
    client.on('error', () => undefined);
    if (this.#mode === 'accept-then-close') {
      client.end();
      client.resume();
      return;
    }
    const server = connect(this.#target);
    const pair = new Pair(client, server, () => this.#pairs.delete(pair));
    this.#pairs.add(pair);
    let toClient = 0;
    let toServer = 0;
    this.#pump(pair, client, server, (chunk) => {
      toServer += chunk.length;
      if (this.#holdAfter !== undefined && toServer >= this.#holdAfter) {
        this.#holdAfter = undefined;
        pair.hold();
      }
      return chunk;
    });
    this.#pump(pair, server, client, (chunk) => {
      if (pair.holds(chunk)) return nothing;
      const limit = this.#cutAtByte;
      const room = limit === undefined ? chunk.length : limit - toClient;
      toClient += chunk.length;
      if (room > chunk.length || limit === undefined) return chunk;
      this.#cutAtByte = undefined;
      if (room > 0) client.write(chunk.subarray(0, room));
      const how = this.#atByte;
      if (how === 'stall') pair.stalled = true;
      // What was written has to leave before a RST drops it.
      else setImmediate(() => pair.end(how === 'reset'));
      return undefined;
    });
  }

  #pump(pair: Pair, from: Socket, to: Socket, filter: (chunk: Buffer) => Buffer | undefined): void {
    let lost = false;
    from.on('data', (chunk: Buffer) => {
      if (this.#mode === 'black-hole' || pair.stalled || lost) return;
      const passed = filter(chunk);
      if (passed === undefined) {
        lost = true;
        return;
      }
      const send = (): void => {
        if (!to.writable || pair.stalled || this.#mode === 'black-hole') return;
        // What was delayed comes in a row: one pause is enough for all of it.
        if (to.write(passed) || from.isPaused()) return;
        from.pause();
        to.once('drain', () => from.resume());
      };
      if (this.#delayMs === 0) send();
      else setTimeout(send, this.#delayMs);
    });
    from.on('end', () => {
      if (!pair.silent) to.end();
    });
  }
}

const nothing = Buffer.alloc(0);

class Pair {
  readonly #client: Socket;
  readonly #server: Socket;
  #held: Buffer[] | undefined;
  stalled = false;

  constructor(client: Socket, server: Socket, onClose: () => void) {
    this.#client = client;
    this.#server = server;
    client.once('close', () => {
      server.destroy();
      onClose();
    });
    server.once('close', () => {
      if (!this.silent) client.end();
    });
    server.on('error', () => {
      if (!this.silent) client.destroy();
    });
  }

  /** Neither end is told of the end of the other. */
  get silent(): boolean {
    return this.stalled || this.#held !== undefined;
  }

  hold(): void {
    this.#held ??= [];
  }

  holds(chunk: Buffer): boolean {
    this.#held?.push(chunk);
    return this.#held !== undefined;
  }

  release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (!held) return;
    this.#client.write(Buffer.concat(held));
    if (this.#server.readableEnded || this.#server.destroyed) this.#client.end();
  }

  end(reset: boolean): void {
    if (reset) this.#client.resetAndDestroy();
    else this.#client.destroy();
    this.#server.destroy();
  }
}

export async function startTcpProxy(
  target: { readonly host: string; readonly port: number },
  listen: { readonly host?: string; readonly port?: number } = {},
): Promise<TcpProxy> {
  const proxy = new TcpProxy(target, listen);
  await proxy.listen();
  return proxy;
}
