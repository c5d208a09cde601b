import { type Logger, fields } from '../../runtime/log/index.ts';
import { type Prefix, hostPrefix, parsePrefix } from '../../values/ip/index.ts';
import { toText } from '../../kvstore/index.ts';
import { AddressRules, OwnSpace, RecordRefusedError } from '../acceptance/index.ts';
import { CopyTable } from './copy-table.ts';

/** How many refused addresses are logged one by one. */
const logged = 100;
/** What is ours, agents know: here the word of the operator counts alone. */
const nobodys = new OwnSpace().content();

/**
 * Which addresses of one remote cluster may be copied: those within its `allowedCIDRs`, or all where it has none. Judged by the key alone:
 * readers take no record whose value says another address than its key (kvstore-schema §5). Remembers the keys that are refused at present, as
 * compactly as those that are copied.
 */
export class AddressLimit {
  readonly #log: Logger;
  readonly #refused = new CopyTable();
  #rules = new AddressRules(nobodys);
  #isOpen = true;
  /** What was copied before has not been held against the rules yet. */
  #due = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Addresses of the remote that are not copied. */
  get size(): number {
    return this.#refused.size;
  }

  /** Whether what was copied under other limits is to be gone through. */
  get due(): boolean {
    return this.#due;
  }

  /** What is allowed from now on; undefined: everything. The same limits again change nothing. */
  allow(cidrs: readonly Prefix[] | undefined): void {
    const rules = new AddressRules(nobodys, cidrs);
    if (rules.same(this.#rules)) return;
    this.#rules = rules;
    this.#isOpen = cidrs === undefined;
    this.#due = !this.#isOpen;
    for (const row of this.#refused.rows())
      if (this.#isOpen || this.#allows(this.#refused.keyOf(row))) this.#refused.delete(row);
  }

  /** Everything that was copied before is gone through. */
  settled(): void {
    this.#due = false;
  }

  /** Whether an address, as its key says it after the prefix, may not be copied: it is counted then. */
  refuses(suffix: Uint8Array): boolean {
    if (this.#isOpen) return false;
    if (this.#allows(suffix)) return false;
    const isKnown = this.#refused.find(suffix) >= 0;
    this.#refused.see(suffix);
    if (isKnown || this.size > logged) return true;
    const key = toText(suffix);
    this.#log.warn('An address of a remote cluster is not copied', {
      [fields.key]: key,
      code: 'not-allowed',
      reason: this.#reasonOf(key),
    });
    if (this.size === logged)
      this.#log.warn('More addresses of a remote cluster may not be copied: from now on they are counted, not named');
    return true;
  }

  /** The remote has it no more. */
  forget(suffix: Uint8Array): void {
    const row = this.size === 0 ? -1 : this.#refused.find(suffix);
    if (row >= 0) this.#refused.delete(row);
  }

  startListing(): void {
    this.#refused.startListing();
  }

  /** What a complete listing did not have is refused no more. */
  finishListing(): void {
    for (const row of this.#refused.unseen()) this.#refused.delete(row);
  }

  /** Some that are refused, with the reason. */
  first(count: number): readonly { readonly key: string; readonly reason: string }[] {
    return this.#refused
      .rows()
      .slice(0, count)
      .map((row) => toText(this.#refused.keyOf(row)))
      .map((key) => ({ key, reason: this.#reasonOf(key) }));
  }

  /** A key that names no address lies in no block. */
  #allows(suffix: Uint8Array): boolean {
    const text = toText(suffix);
    try {
      return this.#rules.allows(text.includes('/') ? parsePrefix(text) : hostPrefix(text));
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
  }

  #reasonOf(key: string): string {
    return new RecordRefusedError('not-allowed', 'IP', this.#rules.expected('not-allowed'), key).message;
  }
}
