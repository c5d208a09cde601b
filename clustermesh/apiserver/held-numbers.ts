import { randomUUID } from 'node:crypto';
import type { KeyValue, Said } from '../../kvstore/index.ts';
import { type RemoteOrigin, decodeHeldNumbers, decodeIdentity } from '../wire/index.ts';

/**
 * What nodes say of the identities they use, and whether they say it to us: a store that was put back to an older copy
 * also tells what was said at that time. So we ask in a word of our own, and who repeats it answers.
 */
export class HeldAnswers {
  #question = randomUUID();
  readonly #origin: RemoteOrigin;
  readonly #answered = new Set<string>();

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
    if (answers === this.#question) this.#answered.add(holder);
    // What was remembered when an older copy was made is about the store before that.
    return { references: numbers, remembered: answers === this.#question ? remembered : [] };
  };

  /** Those of `holders` who have answered. That they do not any more, since their store is another one again, changes nothing. */
  among(holders: ReadonlySet<string>): ReadonlySet<string> {
    return this.#answered.intersection(holders);
  }
}
