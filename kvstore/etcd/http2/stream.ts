import type { Room } from './room.ts';

/** What happens on a stream, in order; `closed` comes once and is the last. */
export interface StreamEvents {
  /** Headers before the content, or behind it. */
  headers(headers: ReadonlyMap<string, string>): void;
  /** Content: a view of the stream's room. */
  data(chunk: Buffer): void;
  /** The other side has said all it had to say. */
  ended(): void;
  /** Nothing will come any more: with a code when the other side gave the stream up, with an error when the line did. */
  closed(code: number | undefined, error: unknown): void;
}

/** What a stream needs of its connection. */
export interface StreamPort {
  /** Headers and content are ready to be sent. */
  wantsToSend(stream: Http2Stream): void;
  /** `bytes` that had come were used. */
  consumed(stream: Http2Stream, bytes: number): void;
  giveUp(stream: Http2Stream, code: number): void;
}

/** One request and its answer. Nothing is sent before the first {@link write} or {@link end}. */
export class Http2Stream {
  /** 0 until its headers are sent. */
  id = 0;
  readonly headers: Buffer;
  /** How much more may be sent, and received, on it. */
  sendWindow = 0;
  receiveWindow: number;
  /** Bytes that were used and not yet granted anew. */
  granted = 0;
  headerBlocks = 0;
  readonly #port: StreamPort;
  readonly #events: StreamEvents;
  readonly #room: Room;
  #block: Buffer | undefined;
  #from = 0;
  #to = 0;
  /** Bytes that came since it last was quiet. */
  #burst = 0;
  #sending: Uint8Array[] = [];
  #endAsked = false;
  #endSent = false;
  #remoteEnded = false;
  #closed = false;

  constructor(port: StreamPort, events: StreamEvents, headers: Buffer, room: Room, receiveWindow: number) {
    this.#port = port;
    this.#events = events;
    this.headers = headers;
    this.#room = room;
    this.receiveWindow = receiveWindow;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** False once the end was asked for. */
  get writable(): boolean {
    return !this.#closed && !this.#endAsked;
  }

  write(bytes: Uint8Array): void {
    if (!this.writable) return;
    this.#sending.push(bytes);
    this.#port.wantsToSend(this);
  }

  end(bytes?: Uint8Array): void {
    if (!this.writable) return;
    if (bytes) this.#sending.push(bytes);
    this.#endAsked = true;
    this.#port.wantsToSend(this);
  }

  /** Content of so many bytes was used: as much again may come. */
  consumed(bytes: number): void {
    if (!this.#closed) this.#port.consumed(this, bytes);
  }

  /** Gives it up; whatever still comes is dropped. */
  cancel(code: number): void {
    if (!this.#closed) this.#port.giveUp(this, code);
  }

  // What follows is the connection's to call.

  /** What is to be sent next, at most `max` bytes; undefined when there is nothing. */
  nextToSend(max: number): { readonly bytes: Uint8Array; readonly isLast: boolean } | undefined {
    const [head] = this.#sending;
    if (!head) {
      if (!this.#endAsked || this.#endSent) return undefined;
      this.#endSent = true;
      return { bytes: new Uint8Array(0), isLast: true };
    }
    if (max <= 0 && head.length > 0) return undefined;
    if (head.length > max) {
      this.#sending[0] = head.subarray(max);
      return { bytes: head.subarray(0, max), isLast: false };
    }
    this.#sending.shift();
    const isLast = this.#endAsked && this.#sending.length === 0;
    if (isLast) this.#endSent = true;
    return { bytes: head, isLast };
  }

  /** True when both sides have said all. */
  get done(): boolean {
    return this.#remoteEnded && this.#endSent;
  }

  get remoteEnded(): boolean {
    return this.#remoteEnded;
  }

  append(buffer: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to) {
      if (!this.#block || this.#to === this.#block.length) {
        this.flush();
        this.#block = this.#room.next();
        this.#from = 0;
        this.#to = 0;
      }
      const taken = Math.min(to - at, this.#block.length - this.#to);
      buffer.copy(this.#block, this.#to, at, at + taken);
      this.#to += taken;
      this.#burst += taken;
      at += taken;
    }
  }

  /** Hands over what has been appended. */
  flush(): void {
    if (!this.#block || this.#to === this.#from) return;
    const chunk = this.#block.subarray(this.#from, this.#to);
    this.#from = this.#to;
    this.#events.data(chunk);
  }

  /** Hands over what has been appended: nothing more has come for now. */
  rest(): void {
    this.flush();
    if (this.#burst > 0 && this.#room.keepsRest?.(this.#burst) === false) this.#block = undefined;
    this.#burst = 0;
  }

  takeHeaders(headers: ReadonlyMap<string, string>): void {
    this.flush();
    this.#events.headers(headers);
  }

  takeEnd(): void {
    this.flush();
    this.#remoteEnded = true;
    this.#events.ended();
  }

  close(code: number | undefined, error: unknown): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    this.#sending = [];
    this.#block = undefined;
    this.#events.closed(code, error);
  }
}
