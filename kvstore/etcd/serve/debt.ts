import type { Client } from './client.ts';

/** Bytes that were given to one call and that its client has not taken yet. */
export class Debt {
  readonly #client: Client;
  readonly #account: 'unsentAnswers' | 'unsentPushes';
  bytes = 0;
  /** Called whenever the client has taken something. */
  onPaid: (() => void) | undefined;

  constructor(client: Client, kind: 'answer' | 'push') {
    this.#client = client;
    this.#account = kind === 'answer' ? 'unsentAnswers' : 'unsentPushes';
  }

  add(bytes: number): void {
    this.#change(bytes);
    this.#client.server.clients.owes(this.#client);
  }

  /** A call that is closed owes nothing: what it could not send is gone. */
  pay(bytes: number): void {
    this.#change(-Math.min(bytes, this.bytes));
    this.onPaid?.();
  }

  forgive(): void {
    this.#change(-this.bytes);
  }

  #change(bytes: number): void {
    this.bytes += bytes;
    this.#client[this.#account] += bytes;
    this.#client.server.unsentBytes += bytes;
  }
}
