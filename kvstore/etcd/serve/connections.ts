import type { X509Certificate } from 'node:crypto';
import { type Http2Server, type Http2Session, createServer as createHttp2Server } from 'node:http2';
import { type Server as HttpServer, createServer as createHttpServer } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Timer } from '../../../runtime/clock/index.ts';
import { factsOf, inWords } from '../../../runtime/tls/index.ts';
import { grpcStatus } from '../wire/index.ts';
import { Client } from './client.ts';
import { answerGrpc } from './dispatch.ts';
import { answerHttp } from './http-endpoints.ts';
import { maxHeaderBytes } from './limits.ts';
import { Patience } from './patience.ts';
import { Seldom } from './seldom.ts';
import type { ServeContext } from './serve-context.ts';
import { sniffProtocol } from './sniff.ts';

const window = 16 * 1024 * 1024;
/** Requests are small: a stream may have this much on its way to us, a connection {@link window}. */
const streamWindow = 4 * 1024 * 1024;
/** For a TLS handshake; then, or from the answer before, to the end of the headers of a request. */
const headersTimeoutMs = 10_000;
/** How often connections are looked at whose certificates may have expired. */
const expiryLookMs = 1000;

/** All connections of one server, whichever protocol they speak. */
export class Connections {
  readonly #context: ServeContext;
  readonly #http2: Http2Server;
  readonly #http1: HttpServer;
  readonly #sockets = new Set<Socket>();
  /** Those that have not said yet which protocol they speak. */
  readonly #undecided = new Set<Socket>();
  /** Those whose handshake goes on, by the address of their other end: TLS makes another socket of them. */
  readonly #handshakes = new Map<string, { readonly socket: Socket; readonly patience: Patience }>();
  readonly #sessions = new Set<Http2Session>();
  readonly #clients = new WeakMap<Http2Session, Client>();
  readonly #patience = new WeakMap<Socket, Patience>();
  readonly #nobodies: Seldom;
  #look: Timer | undefined;

  constructor(context: ServeContext) {
    this.#context = context;
    this.#nobodies = new Seldom(context.clock);
    this.#lookAtCertificates();
    this.#http2 = createHttp2Server({
      settings: {
        initialWindowSize: streamWindow,
        maxConcurrentStreams: context.limits.maxStreams,
        maxHeaderListSize: maxHeaderBytes,
        enablePush: false,
      },
      streamResetBurst: context.limits.resets.burst,
      streamResetRate: context.limits.resets.perSecond,
      // Counts answers not yet sent, too: a large range to a slow reader must not end its connection. In megabytes.
      maxSessionMemory: 4096,
    });
    this.#http2.on('session', (session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      session.setLocalWindowSize(window);
    });
    // The socket's error says the same and is logged. (Go's client ends every connection this way: its GOAWAY names a
    // stream of its own, which nghttp2 does not take.)
    this.#http2.on('sessionError', () => undefined);
    this.#http2.on('stream', (stream, headers) => {
      const client = stream.session && this.#clients.get(stream.session);
      // A client may go away at any moment, and break off before its call was looked at; whoever writes asks `call.open`.
      stream.on('error', (error) => context.log.debug('A call of an etcd client broke', { error }));
      if (client) answerGrpc(client, stream, headers);
      else stream.destroy();
    });
    this.#http1 = createHttpServer((request, response) => {
      const patience = this.#patience.get(request.socket);
      patience?.end();
      response.once('finish', () => patience?.begin());
      answerHttp(context, request, (status, body, fields) => response.writeHead(status, fields).end(body));
    });
  }

  /** A connection in cleartext: its first bytes tell what it speaks. */
  accept(socket: Socket): void {
    this.#undecided.add(socket);
    const patience = this.#take(socket);
    sniffProtocol(socket, (protocol) => {
      this.#undecided.delete(socket);
      if (protocol === 'http2') this.#speakHttp2(socket, patience);
      else this.#speakHttp1(socket);
    });
  }

  /** A connection that has not done its TLS handshake; it comes to `acceptSecure` if it does. */
  shakesHands(socket: Socket): void {
    const name = nameOf(socket);
    const handshake = { socket, patience: new Patience(socket, this.#context.clock, headersTimeoutMs) };
    this.#handshakes.set(name, handshake);
    socket.once('close', () => {
      if (this.#handshakes.get(name) === handshake) this.#handshakes.delete(name);
    });
  }

  /** A connection over TLS: the handshake has agreed on what it speaks. */
  acceptSecure(socket: TLSSocket): void {
    const name = nameOf(socket);
    this.#handshakes.get(name)?.patience.end();
    this.#handshakes.delete(name);
    const patience = this.#take(socket);
    const certificate = socket.getPeerX509Certificate();
    if (socket.alpnProtocol === 'h2') this.#speakHttp2(socket, patience, certificate);
    else this.#speakHttp1(socket, certificate);
  }

  #take(socket: Socket): Patience {
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#undecided.delete(socket);
    });
    socket.on('error', (error) => this.#context.log.debug('An etcd client connection failed', { error }));
    const patience = new Patience(socket, this.#context.clock, headersTimeoutMs);
    this.#patience.set(socket, patience);
    return patience;
  }

  /** Who only asks for health may do so as anybody, but counts among the connections of its user. */
  #speakHttp1(socket: Socket, certificate?: X509Certificate): void {
    const client = this.#admit(socket, certificate);
    if (!client) return;
    client.speaks({ close: () => socket.end(), destroy: () => socket.destroy() });
    this.#http1.emit('connection', socket);
  }

  /** Undefined, and the connection closed, when its user has enough of them. */
  #admit(socket: Socket, certificate: X509Certificate | undefined): Client | undefined {
    const client = new Client(this.#context, certificate);
    if (!this.#context.clients.add(client)) return void socket.destroy();
    socket.once('close', () => {
      this.#context.clients.delete(client);
      client.closed();
    });
    return client;
  }

  #speakHttp2(socket: Socket, patience: Patience, certificate?: X509Certificate): void {
    const client = this.#admit(socket, certificate);
    if (!client) return;
    const { refused } = client;
    if (refused !== undefined)
      this.#nobodies.run(() =>
        this.#context.log.warn('An etcd client is no user, its calls are refused', {
          reason: refused,
          certificate: certificate && inWords(factsOf(certificate)),
          peer: socket.remoteAddress,
        }),
      );
    // The session is made within `emit`, and shows the socket only behind a proxy.
    const begun = (session: Http2Session): void => {
      this.#clients.set(session, client);
      client.speaks(session);
      session.once('remoteSettings', () => patience.end());
    };
    this.#http2.once('session', begun).emit('connection', socket);
    this.#http2.off('session', begun);
  }

  /** The users have changed: what they may do any more is found out for everybody who is connected. */
  identifyAgain(): void {
    for (const client of this.#context.clients) client.identifyAgain();
  }

  #lookAtCertificates(): void {
    const { clock, clients, users } = this.#context;
    if (!users) return;
    this.#look = clock.timer(expiryLookMs, () => {
      for (const client of clients) client.expire(clock.now());
      this.#lookAtCertificates();
    });
  }

  async close(graceMs: number): Promise<void> {
    this.#context.closing = true;
    this.#look?.[Symbol.dispose]();
    this.#context.held[Symbol.dispose]();
    // Streams that last (watches, keep-alives) end with a status first; GOAWAY then lets the others finish.
    for (const client of this.#context.clients)
      for (const stream of client.lasting) stream.end(grpcStatus.unavailable, 'etcdserver: server stopped');
    const gone = Promise.all(
      [...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
    );
    for (const session of this.#sessions) session.close();
    this.#http1.closeIdleConnections();
    const timer = this.#context.clock.timer(graceMs, () => {
      for (const session of this.#sessions) session.destroy();
      for (const socket of this.#sockets) socket.destroy();
    });
    for (const socket of this.#undecided) socket.destroy();
    for (const { socket } of this.#handshakes.values()) socket.destroy();
    await gone;
    timer[Symbol.dispose]();
  }
}

function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
