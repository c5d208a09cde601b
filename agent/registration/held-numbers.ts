import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type HeldNumber,
  type RememberedNumber,
  encodeHeldNumbers,
  keyOfHeldNumbers,
} from '../../clustermesh/index.ts';
import type { SyncStore } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { type MaxConnectedClusters, clusterIdOf } from '../../values/identity/index.ts';
import type { EndpointTable } from '../endpoints/index.ts';
import type { OwnNodeFacts } from './own-records.ts';
import { rememberMs } from './remembered-numbers.ts';

export interface HeldNumbersDeps {
  readonly keys: Pick<SyncStore, 'set'>;
  readonly endpoints: EndpointTable;
  /** What an identity means as far as the store has told, in the form of its key. */
  readonly textOf: (id: number) => string | undefined;
  readonly stateDirectory: string;
  /** Which bits of an identity name its cluster; 255 unless told. */
  readonly maxConnectedClusters?: MaxConnectedClusters | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The identities that endpoints of this node have, said in the store with what they mean. The datapath goes on with them
 * whatever becomes of the store: when it was lost, or put back, and nobody else knows, this is what the numbers meant. The
 * first meaning that was heard counts, and is kept on disk for the next life of this agent.
 */
export class HeldNumbers {
  readonly #own: OwnNodeFacts;
  readonly #deps: HeldNumbersDeps;
  readonly #path: string;
  readonly #held = new Map<number, HeldNumber>();
  /** Identities in use whose meaning is not known yet. */
  #unknown = 0;
  #said = false;
  #answers = '';
  /** Told with the answer, and for as long as it may matter. */
  #remembered: readonly RememberedNumber[] = [];
  #rememberedUntilMs = 0;
  #left = false;
  #saving: Promise<void> = Promise.resolve();

  constructor(own: OwnNodeFacts, deps: HeldNumbersDeps) {
    this.#own = own;
    this.#deps = deps;
    this.#path = join(deps.stateDirectory, 'identities.json');
    deps.endpoints.onChange(() => this.#look());
  }

  /** Takes over what an earlier life knew; to be called once its endpoints are restored. */
  async restore(): Promise<void> {
    for (const held of await this.#read()) this.#held.set(held.id, held);
    this.#look(true);
  }

  /** The store may have told more. */
  learnt(): void {
    if (this.#unknown > 0) this.#look();
  }

  /** Somebody who is about to give identities asks which ones are in use: what was said before is no answer to that. */
  asked(question: string, remembered: readonly RememberedNumber[] = []): void {
    if (this.#left || question === this.#answers) return;
    this.#answers = question;
    this.#remembered = remembered;
    this.#rememberedUntilMs = this.#deps.clock.monotonicMs() + rememberMs;
    if (this.#said) this.#say();
  }

  /** Nothing is said any more. */
  leave(): void {
    this.#left = true;
  }

  /** Settles when what is held is on disk. */
  async saved(): Promise<void> {
    await this.#saving;
  }

  #look(always = false): void {
    if (this.#left) return;
    const wanted = new Map<number, boolean>();
    for (const { identity, hidden = false } of this.#deps.endpoints.list())
      // Reserved ones mean the same everywhere, and numbers of others are theirs to explain.
      if (clusterIdOf(identity, this.#deps.maxConnectedClusters) === this.#own.clusterId) wanted.set(identity, hidden);
    let changed = always;
    this.#unknown = 0;
    for (const [id, hidden] of wanted) {
      const before = this.#held.get(id);
      const text = before?.text ?? this.#deps.textOf(id);
      if (text === undefined) this.#unknown += 1;
      else if (before?.hidden !== hidden) {
        this.#held.set(id, { id, text, hidden });
        changed = true;
      }
    }
    for (const id of this.#held.keys()) if (!wanted.has(id)) changed = this.#held.delete(id);
    // The first word has to be the whole: who does not know it all yet has not spoken.
    if (!changed && (this.#said || this.#unknown > 0)) return;
    if (this.#said || this.#unknown === 0) this.#say();
    this.#save();
  }

  #say(): void {
    this.#said = true;
    if (this.#deps.clock.monotonicMs() >= this.#rememberedUntilMs) this.#remembered = [];
    const numbers = [...this.#held.values()];
    const record = { node: this.#own.name, numbers, answers: this.#answers, remembered: this.#remembered };
    this.#deps.keys.set(keyOfHeldNumbers(record), encodeHeldNumbers(record));
  }

  async #read(): Promise<readonly HeldNumber[]> {
    try {
      const content: unknown = JSON.parse(await readFile(this.#path, 'utf8'));
      return Array.isArray(content) ? content.filter(isHeldNumber) : [];
    } catch (error) {
      // Nothing is lost by it but what the store tells anyway, as long as it is the same store.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT'))
        this.#deps.log.warn('What identities meant to an earlier life cannot be read', { [fields.error]: error });
      return [];
    }
  }

  /** One write after the other, the last state last; replaced as a whole. */
  #save(): void {
    const content = `${JSON.stringify([...this.#held.values()])}\n`;
    this.#saving = this.#saving
      .then(async () => {
        const temporary = `${this.#path}.new`;
        {
          await using file = await open(temporary, 'w', 0o600);
          await file.writeFile(content);
          await file.sync();
        }
        await rename(temporary, this.#path);
      })
      .catch((error: unknown) =>
        this.#deps.log.warn('What identities mean cannot be kept for the next life', { [fields.error]: error }),
      );
  }
}

function isHeldNumber(value: unknown): value is HeldNumber {
  return (
    typeof value === 'object' &&
    value !== null &&
    'id' in value &&
    Number.isInteger(value.id) &&
    'text' in value &&
    typeof value.text === 'string' &&
    'hidden' in value &&
    typeof value.hidden === 'boolean'
  );
}
