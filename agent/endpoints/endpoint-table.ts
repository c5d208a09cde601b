import { isDeepStrictEqual } from 'node:util';
import type { IpAddress } from '../../values/ip/index.ts';
import { type NodeEndpoint, endpointKey } from './node-endpoint.ts';

/** What changed: the state before and after; one of them may be absent. */
export type EndpointListener = (after: NodeEndpoint | undefined, before: NodeEndpoint | undefined) => void;

/** The endpoints of this node, by name and by address. */
export class EndpointTable {
  readonly #byKey = new Map<string, NodeEndpoint>();
  readonly #byAddress = new Map<IpAddress, NodeEndpoint>();
  readonly #listeners: EndpointListener[] = [];

  get size(): number {
    return this.#byKey.size;
  }

  onChange(listener: EndpointListener): void {
    this.#listeners.push(listener);
  }

  get(key: string): NodeEndpoint | undefined {
    return this.#byKey.get(key);
  }

  at(address: IpAddress): NodeEndpoint | undefined {
    return this.#byAddress.get(address);
  }

  addresses(): Iterable<IpAddress> {
    return this.#byAddress.keys();
  }

  /** Sorted by namespace and name. */
  list(): NodeEndpoint[] {
    return [...this.#byKey.values()].toSorted((a, b) => (endpointKey(a) < endpointKey(b) ? -1 : 1));
  }

  /** False when nothing changed. The caller has made sure that no other endpoint has one of its addresses. */
  set(endpoint: NodeEndpoint): boolean {
    const before = this.#byKey.get(endpointKey(endpoint));
    if (isDeepStrictEqual(before, endpoint)) return false;
    for (const address of before?.ips ?? []) this.#byAddress.delete(address);
    this.#byKey.set(endpointKey(endpoint), endpoint);
    for (const address of endpoint.ips) this.#byAddress.set(address, endpoint);
    for (const listener of this.#listeners) listener(endpoint, before);
    return true;
  }

  delete(key: string): NodeEndpoint | undefined {
    const before = this.#byKey.get(key);
    if (!before) return undefined;
    this.#byKey.delete(key);
    for (const address of before.ips) this.#byAddress.delete(address);
    for (const listener of this.#listeners) listener(undefined, before);
    return before;
  }

  /** The lowest number that no endpoint has, after `last`; numbers are used anew only when all have been used. */
  freeId(last: number): number {
    const used = new Set([...this.#byKey.values()].map(({ endpointId }) => endpointId));
    for (let n = 0; n < 65_535; n++) {
      const id = ((last + n) % 65_535) + 1;
      if (!used.has(id)) return id;
    }
    throw new RangeError('All 65,535 endpoint numbers of this node are in use');
  }
}
