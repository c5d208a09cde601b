import { type Socket, connect } from 'node:net';

/** Types of frames (RFC 9113 §6). */
export const frameType = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, continuation: 9 } as const;
export const frameFlag = { endStream: 1, ack: 1, endHeaders: 4 } as const;

/** One HTTP/2 frame. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Header fields as HPACK takes them without any table (RFC 7541 §6.2.2), each shorter than 127 bytes. */
export function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  return Buffer.concat(
    Object.entries(fields).map(([name, value]) => Buffer.concat([Buffer.from([0]), text(name), text(value)])),
  );
}

export function callHeaders(path: string): Buffer {
  return headerBlock({
    ':method': 'POST',
    ':scheme': 'http',
    ':path': path,
    ':authority': 'a',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
}

/** HEADERS that begin a call, whose body follows. */
export function beginCall(stream: number, path: string): Buffer {
  return frame(frameType.headers, frameFlag.endHeaders, stream, callHeaders(path));
}

/** A whole call: HEADERS and DATA. */
export function wholeCall(stream: number, path: string, body: Uint8Array): Buffer {
  return Buffer.concat([beginCall(stream, path), frame(frameType.data, frameFlag.endStream, stream, body)]);
}

/** What every connection begins with; all windows as large as can be, or those of streams so large. */
export function openingBytes(windowBytes = 0x7fffffff): Buffer {
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(4, 0);
  settings.writeUInt32BE(windowBytes, 2);
  const window = Buffer.alloc(4);
  window.writeUInt32BE(0x7fffffff - 65_535, 0);
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(frameType.settings, 0, 0, settings),
    frame(8, 0, 0, window),
    // Before it the server's own settings do not hold.
    frame(frameType.settings, frameFlag.ack, 0),
  ]);
}

/** A client that keeps to no rule: bytes go out as they are given, and what comes is read only where asked for. */
export class RudeClient implements AsyncDisposable {
  readonly socket: Socket;
  /** Settles when the server has closed the connection, or broken it off. */
  readonly closed: Promise<void>;

  constructor(port: number, options: { readonly reads?: boolean; readonly windowBytes?: number } = {}) {
    this.socket = connect({ port, host: '127.0.0.1' });
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
    if (options.reads !== false) this.socket.resume();
    this.socket.write(openingBytes(options.windowBytes));
  }

  /** Writes, and waits until the kernel has taken it or the connection is closed. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.socket.destroyed) return;
    await new Promise<void>((resolve) => {
      this.socket.write(bytes, () => resolve());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }
}
