import { Agent } from 'node:http';
import type { Duplex } from 'node:stream';
import { reasonOf } from '../../../runtime/files/index.ts';

/** Keeps connections open between calls, and opens them in our own way. */
export class ConsulAgent extends Agent {
  readonly #connect: (name: string) => Promise<Duplex>;

  constructor(maxSockets: number, open: (name: string) => Promise<Duplex>) {
    super({ keepAlive: true, maxSockets, maxFreeSockets: maxSockets });
    this.#connect = open;
  }

  override createConnection(
    options: { readonly host?: string | null },
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    void this.#open(options.host ?? '', callback);
    return undefined;
  }

  async #open(name: string, done?: (error: Error | null, stream: Duplex) => void): Promise<void> {
    try {
      done?.(null, await this.#connect(name));
    } catch (error) {
      // The stream is not looked at after an error, but the type wants one.
      done?.(new NotConnected(error), undefined as unknown as Duplex);
    }
  }
}

/** There is no connection: nothing was sent. */
export class NotConnected extends Error {
  constructor(cause: unknown) {
    super(reasonOf(cause), { cause });
  }
}
