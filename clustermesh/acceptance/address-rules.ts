import { type IpAddress, type Prefix, formatPrefix, hostPrefix, parsePrefix } from '../../values/ip/index.ts';
import { BlockSet } from './block-set.ts';
import type { OwnSpaceContent } from './own-space.ts';

/** Why another cluster may not claim an address. */
export type AddressProblem = 'own-address' | 'special-address' | 'not-allowed';
/** Why an address may not be where its tunnels end. */
export type HostProblem = 'own-host' | 'special-host';

/** Unspecified, loopback, link-local, multicast and broadcast: no cluster's. Every default route overlaps them. */
const special = new BlockSet(
  [
    '0.0.0.0/8',
    '127.0.0.0/8',
    '169.254.0.0/16',
    '224.0.0.0/4',
    '255.255.255.255/32',
    '::/127',
    'fe80::/10',
    'ff00::/8',
  ].map((text) => parsePrefix(text)),
);

const loopback = new BlockSet(['127.0.0.0/8', '::1/128'].map((text) => parsePrefix(text)));

/** What one peer may claim, at one moment. */
export class AddressRules {
  readonly #own: OwnSpaceContent;
  readonly #allowed: BlockSet | undefined;
  readonly #allowedText: string | undefined;
  /** Our own nodes stand there, so those of others may: a mesh on one machine. */
  readonly #onLoopback: boolean;

  constructor(own: OwnSpaceContent, allowedCidrs?: readonly Prefix[]) {
    this.#own = own;
    this.#allowed = allowedCidrs && new BlockSet(allowedCidrs);
    this.#allowedText = allowedCidrs?.map(formatPrefix).join(', ');
    this.#onLoopback = [...own.hosts].some((host) => loopback.overlaps(hostPrefix(host)));
  }

  /** Of an IPv4 address as a number. */
  problem4(address: number): AddressProblem | undefined {
    if (special.has4(address)) return 'special-address';
    if (this.#own.blocks.has4(address)) return 'own-address';
    return this.#allowed && !this.#allowed.has4(address) ? 'not-allowed' : undefined;
  }

  problem(prefix: Prefix): AddressProblem | undefined {
    if (special.overlaps(prefix)) return 'special-address';
    if (this.#own.blocks.overlaps(prefix)) return 'own-address';
    return this.allows(prefix) ? undefined : 'not-allowed';
  }

  /** Whether the peer's list has the whole block, or there is none; whatever else speaks against it. */
  allows(prefix: Prefix): boolean {
    return !this.#allowed || this.#allowed.covers(prefix);
  }

  /** An empty text is no host, and no problem. */
  hostProblem(host: IpAddress): HostProblem | undefined {
    if (host === '') return undefined;
    if (this.#own.hosts.has(host)) return 'own-host';
    const prefix = hostPrefix(host);
    if (special.overlaps(prefix) && !(this.#onLoopback && loopback.overlaps(prefix))) return 'special-host';
    return this.#own.inner.overlaps(prefix) ? 'own-host' : undefined;
  }

  /** Whether these are the very rules that `other` are. */
  same(other: AddressRules): boolean {
    return this.#own === other.#own && this.#allowedText === other.#allowedText;
  }

  /** Whether something may pass here that `before` refused. */
  looserThan(before: AddressRules): boolean {
    const own = this.#own;
    if (own !== before.#own) {
      if (!own.blocks.includes(before.#own.blocks)) return true;
      for (const host of before.#own.hosts) if (!own.hosts.has(host)) return true;
    }
    if (!before.#allowed || this.#allowedText === before.#allowedText) return false;
    return !this.#allowed || !before.#allowed.includes(this.#allowed);
  }

  /** What would have been right, for people. */
  expected(problem: AddressProblem | HostProblem): string {
    switch (problem) {
      case 'own-address':
        return 'outside the addresses of the own cluster';
      case 'special-address':
        return 'an address that can be routed, no default route, loopback, link-local or multicast one';
      case 'not-allowed':
        return `within the allowedCIDRs of the peer (${this.#allowedText === '' ? 'none' : this.#allowedText})`;
      case 'own-host':
        return 'no node and no pod of the own cluster';
      case 'special-host':
        return 'the address of a node, no loopback, link-local or multicast one';
    }
  }
}
