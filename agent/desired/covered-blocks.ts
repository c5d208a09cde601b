import { type Prefix, ipv4ToNumber, numberToIpv4 } from '../../values/ip/index.ts';

/**
 * Which blocks contain one of some IPv4 addresses: asked of a block, and, the other way round, of an address. The answer costs
 * no more with more addresses; each length of a block that was ever asked for costs an entry an address.
 */
export class CoveredBlocks {
  readonly #addresses = new Map<number, number>();
  /** Length → first address of a block → how many of the addresses it contains. */
  readonly #byLength = new Map<number, Map<number, number>>();

  /** An address may be added several times, and is gone when it was removed as often. */
  add(address: number): void {
    const count = this.#addresses.get(address) ?? 0;
    this.#addresses.set(address, count + 1);
    if (count === 0) for (const [length, blocks] of this.#byLength) change(blocks, firstOf(address, length), 1);
  }

  remove(address: number): void {
    const count = this.#addresses.get(address) ?? 0;
    if (count === 0) return;
    if (count > 1) {
      this.#addresses.set(address, count - 1);
      return;
    }
    this.#addresses.delete(address);
    for (const [length, blocks] of this.#byLength) change(blocks, firstOf(address, length), -1);
  }

  /** Whether an IPv4 block contains any of the addresses. */
  within(block: Prefix): boolean {
    const blocks = this.#byLength.get(block.length) ?? this.#count(block.length);
    return blocks.has(ipv4ToNumber(block.address));
  }

  /** The blocks around an address, of every length that was asked for, as text. */
  *blocksAround(address: number): Iterable<string> {
    for (const length of this.#byLength.keys()) yield `${numberToIpv4(firstOf(address, length))}/${length}`;
  }

  #count(length: number): Map<number, number> {
    const blocks = new Map<number, number>();
    for (const address of this.#addresses.keys()) change(blocks, firstOf(address, length), 1);
    this.#byLength.set(length, blocks);
    return blocks;
  }
}

function change(blocks: Map<number, number>, block: number, by: number): void {
  const count = (blocks.get(block) ?? 0) + by;
  if (count === 0) blocks.delete(block);
  else blocks.set(block, count);
}

/** The first address of the block of this length around an address. Shifting by 32 would shift by nothing. */
function firstOf(address: number, length: number): number {
  return length === 0 ? 0 : (address & (0xffffffff << (32 - length))) >>> 0;
}
