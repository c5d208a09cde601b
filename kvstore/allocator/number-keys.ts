import { toText } from '../contract/index.ts';
import type { IdentityAllocatorOptions } from './options.ts';

/** Where numbers stand in the store: under one prefix, or under two of which not every reader may see the second. */
export class NumberKeys {
  /** Each prefix, and whether it is the hidden one. */
  readonly prefixes: readonly (readonly [prefix: string, hidden: boolean])[];
  readonly #range: IdentityAllocatorOptions['range'];

  constructor({ prefix, hiddenPrefix, range }: Pick<IdentityAllocatorOptions, 'prefix' | 'hiddenPrefix' | 'range'>) {
    this.prefixes =
      hiddenPrefix === undefined
        ? [[prefix, false]]
        : [
            [prefix, false],
            [hiddenPrefix, true],
          ];
    this.#range = range;
  }

  /** True for numbers to give away. */
  has(id: number): boolean {
    return id >= this.#range.min && id <= this.#range.max;
  }

  of({ id, hidden }: { readonly id: number; readonly hidden: boolean }): string {
    return `${this.#prefix(hidden)}${id}`;
  }

  /** The number in a key; keys outside the range are somebody else's. */
  idIn(key: Uint8Array, hidden: boolean): number | undefined {
    const digits = toText(key).slice(this.#prefix(hidden).length);
    if (!/^[1-9]\d{0,9}$/.test(digits)) return undefined;
    const id = Number(digits);
    return this.has(id) ? id : undefined;
  }

  #prefix(hidden: boolean): string {
    const found = this.prefixes.find(([, isHidden]) => isHidden === hidden);
    if (!found) throw new TypeError('There is no prefix for hidden texts');
    return found[0];
  }
}
