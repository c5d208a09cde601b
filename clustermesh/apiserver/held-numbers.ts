import { randomUUID } from 'node:crypto';
import type { KeyValue, Said } from '../../kvstore/index.ts';
import { type RemoteOrigin, type RememberedNumber, decodeHeldNumbers, decodeIdentity } from '../wire/index.ts';

/**
 * What nodes say of the identities they use, and whether they say it to us: a store that was put back to an older copy
 * also tells what was said at that time. So we ask in a word of our own, and who repeats it answers.
 */
export class HeldAnswers {
  #question = randomUUID();
  readonly #origin: RemoteOrigin;
  /**
   * What each remembered when it answered. Its first answer counts: who could say more and more, or other things each time,
   * would keep numbers from everybody for ever.
   */
  readonly #answered = new Map<string, readonly RememberedNumber[]>();

  constructor(origin: RemoteOrigin) {
    this.#origin = origin;
  }

  get question(): string {
    return this.#question;
  }

  /** Asks anew: what was answered before counts no more. */
  ask(): void {
    this.#question = randomUUID();
    this.#answered.clear();
  }

  /** Reads what the node `holder` says. @throws {InvalidRecordError} for those of another cluster, too */
  readonly read = (holder: string, { value }: KeyValue): Said => {
    const { numbers, answers, remembered = [] } = decodeHeldNumbers(holder, value);
    for (const { id, text } of numbers) decodeIdentity(String(id), text, this.#origin);
    // What was remembered when an older copy was made is about the store before that.
    if (answers === this.#question && !this.#answered.has(holder)) this.#answered.set(holder, remembered);
    return { references: numbers, remembered: this.#answered.get(holder) ?? [] };
  };

  /** Those of `holders` who have answered. That they do not any more, since their store is another one again, changes nothing. */
  among(holders: ReadonlySet<string>): ReadonlySet<string> {
    return new Set(this.#answered.keys()).intersection(holders);
  }
}
