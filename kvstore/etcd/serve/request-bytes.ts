import type { EventEmitter } from 'node:events';
import type { Client } from './client.ts';
import { tooManyRequests } from './refusals.ts';

/** Counts what one call's request makes us hold, until the call is closed. */
export class RequestBytes {
  readonly #client: Client;
  #gathered = 0;
  #waiting = 0;
  #held = 0;

  /** @param stream of the call, which says when it is closed */
  constructor(client: Client, stream: Pick<EventEmitter, 'once'>) {
    this.#client = client;
    stream.once('close', () => this.#count(-this.#gathered - this.#waiting - this.#held));
  }

  /** So much of a message is there that is not whole. @throws {EngineError} when it is too much for the connection */
  gathering(bytes: number): void {
    const more = bytes - this.#gathered;
    this.#gathered = bytes;
    this.#count(more);
  }

  /** A message of so many bytes waits for its answer. @throws {EngineError} */
  answering(bytes: number): void {
    const more = bytes - this.#gathered;
    this.#gathered = 0;
    this.#held += bytes;
    this.#count(more);
  }

  /** So much has come and is not read. @throws {EngineError} */
  waiting(bytes: number): void {
    const more = bytes - this.#waiting;
    this.#waiting = bytes;
    this.#count(more);
  }

  #count(bytes: number): void {
    const client = this.#client;
    client.requestBytes += bytes;
    client.server.requestBytes += bytes;
    if (bytes > 0) client.server.clients.asks(client);
    if (bytes > 0 && client.requestBytes > client.server.limits.maxRequestBytes) throw tooManyRequests();
  }
}
