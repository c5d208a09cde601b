import { randomUUID } from 'node:crypto';
import { toText } from './bytes.ts';
import type { KeyValue } from './key-value.ts';
import type { Store } from './store.ts';

/** Who holds an office, as it is stored. */
export interface Holder {
  /** For people; empty: nobody, it was given up. */
  readonly name: string;
  /** Differs between any two processes. */
  readonly token: string;
  /** How to tell that the process is gone, see `StoreElectionOptions.isGone`. */
  readonly proof?: string;
}

/** The office as it was last seen. */
export interface SeenOffice {
  /** 0 when there is none yet. */
  readonly revision: number;
  /** Absent for a value that nobody understands: somebody's, for all we know. */
  readonly holder?: Holder;
}

/**
 * One key that says who leads. It carries no lease: whoever sees it unchanged for a whole term may take it, so that any
 * store will do whose transactions compare revisions, however slowly it notices that a lease has run out (Consul takes up
 * to twice as long).
 */
export class Office {
  readonly #store: Pick<Store, 'get' | 'transact'>;
  readonly #key: string;
  readonly #self: Holder;
  #writes = 0;

  constructor(store: Pick<Store, 'get' | 'transact'>, key: string, self: Omit<Holder, 'token'>) {
    this.#store = store;
    this.#key = key;
    this.#self = { ...self, token: randomUUID() };
  }

  async look(signal: AbortSignal): Promise<SeenOffice> {
    const entry = await this.#store.get(this.#key, { signal });
    if (!entry) return { revision: 0 };
    const holder = holderOf(entry);
    return { revision: entry.modRevision, ...(holder ? { holder } : {}) };
  }

  isOurs({ holder }: SeenOffice): boolean {
    return holder?.token === this.#self.token;
  }

  /** Takes or renews it, if it is still as it was seen. Gives its new revision, or nothing when somebody was faster. */
  async take(seen: number, signal: AbortSignal): Promise<number | undefined> {
    const { name, token, proof } = this.#self;
    this.#writes += 1;
    return this.#write(seen, { holder: name, token, process: proof, writes: this.#writes }, signal);
  }

  /** Gives it up, if it is still as it was seen. */
  async leave(seen: number, signal: AbortSignal): Promise<void> {
    await this.#write(seen, { holder: '' }, signal);
  }

  async #write(seen: number, record: object, signal: AbortSignal): Promise<number | undefined> {
    const { succeeded, revision } = await this.#store.transact(
      {
        when: [{ key: this.#key, target: 'mod', result: 'equal', value: seen }],
        then: [{ type: 'put', key: this.#key, value: JSON.stringify(record) }],
      },
      { signal },
    );
    return succeeded ? revision : undefined;
  }
}

function holderOf({ value }: KeyValue): Holder | undefined {
  try {
    const found = JSON.parse(toText(value)) as { holder?: unknown; token?: unknown; process?: unknown };
    if (typeof found.holder !== 'string') return undefined;
    return {
      name: found.holder,
      token: typeof found.token === 'string' ? found.token : '',
      ...(typeof found.process === 'string' ? { proof: found.process } : {}),
    };
  } catch {
    return undefined;
  }
}
