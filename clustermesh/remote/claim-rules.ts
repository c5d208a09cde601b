import type { Prefix } from '../../values/ip/index.ts';
import { AddressRules, type OwnSpace } from '../acceptance/index.ts';

/** Which addresses a remote cluster may claim: not ours, and those only that its configuration allows. Either may change at any time. */
export class ClaimRules {
  readonly #ownSpace: OwnSpace;
  readonly #changed: (looser: boolean) => void;
  #allowedCidrs: readonly Prefix[] | undefined;
  #rules: AddressRules;

  /** @param changed called after every change, told whether something that was refused may be let in now */
  constructor(ownSpace: OwnSpace, changed: (looser: boolean) => void) {
    this.#ownSpace = ownSpace;
    this.#changed = changed;
    this.#rules = new AddressRules(ownSpace.content());
  }

  get rules(): AddressRules {
    return this.#rules;
  }

  /** @param cidrs undefined: all */
  allow(cidrs: readonly Prefix[] | undefined): void {
    this.#allowedCidrs = cidrs;
    this.#revise();
  }

  /** Follows what is ours, until `signal` aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    for (;;) {
      const { version } = this.#ownSpace;
      this.#revise();
      await this.#ownSpace.changed(version, signal);
    }
  }

  #revise(): void {
    const rules = new AddressRules(this.#ownSpace.content(), this.#allowedCidrs);
    if (rules.same(this.#rules)) return;
    const looser = rules.looserThan(this.#rules);
    this.#rules = rules;
    this.#changed(looser);
  }
}
