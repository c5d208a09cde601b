import type { Clock } from '../../runtime/clock/index.ts';
import type { Logger } from '../../runtime/log/index.ts';
import { type IpAddress, hostPrefix } from '../../values/ip/index.ts';
import {
  type NodeAssignmentRecord,
  decodeIp,
  encodeIp,
  encodeNode,
  encodeTime,
  hiddenIpPrefix,
  ipKey,
  keyOfNode,
  ownSetKey,
  watchPrefix,
} from '../../clustermesh/index.ts';
import type { KeyValue, SyncStore } from '../../kvstore/index.ts';
import type { EndpointTable, NodeEndpoint } from '../endpoints/index.ts';
import { type OwnNodeFacts, endpointIpRecord, ownNodeRecord } from './own-records.ts';

export interface RegistrationDeps {
  readonly keys: Pick<SyncStore, 'set' | 'delete' | 'synced' | 'sweep' | 'withdraw'>;
  readonly endpoints: EndpointTable;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * What this node publishes of itself: its node record and the addresses of its endpoints, and once they are all written,
 * the mark that says so. Nothing is withdrawn when the agent stops; `leave` is for good.
 */
export class Registration {
  readonly #own: OwnNodeFacts;
  readonly #deps: RegistrationDeps;
  #left = false;

  constructor(own: OwnNodeFacts, deps: RegistrationDeps) {
    this.#own = own;
    this.#deps = deps;
    deps.endpoints.onChange((after, before) => this.#endpointChanged(after, before));
  }

  /** Publishes the node; again whenever the cluster assigns something else. */
  assigned(assignment: NodeAssignmentRecord | undefined): void {
    if (this.#left) return;
    const record = ownNodeRecord(this.#own, assignment);
    this.#deps.keys.set(keyOfNode(record), encodeNode(record));
  }

  /**
   * To be called once the endpoints of an earlier life are restored and the node is published: marks the set as complete,
   * then removes what an earlier life of this very node left and nobody wishes any more.
   */
  async complete(signal: AbortSignal): Promise<void> {
    const { keys, clock } = this.#deps;
    await keys.synced(signal);
    if (this.#left) return;
    keys.set(ownSetKey(this.#own.name), encodeTime(clock.now()));
    await keys.synced(signal);
    for (const prefix of [watchPrefix('ip', this.#own.cluster), hiddenIpPrefix])
      await keys.sweep(prefix, (key, entry) => this.#isLeftover(key.slice(prefix.length), entry), signal);
  }

  /** Withdraws everything and publishes nothing any more. */
  async leave(signal: AbortSignal): Promise<void> {
    this.#left = true;
    await this.#deps.keys.withdraw(signal);
    this.#deps.log.info('This node has left: all its keys are withdrawn');
  }

  #endpointChanged(after: NodeEndpoint | undefined, before: NodeEndpoint | undefined): void {
    if (this.#left) return;
    const wished = new Set<string>();
    for (const address of after?.ips ?? []) {
      const key = keyOfAddress(address, after);
      wished.add(key);
      this.#deps.keys.set(key, encodeIp(endpointIpRecord(this.#own, after as NodeEndpoint, address)));
    }
    // Afterwards: an address that is hidden from now on, or no more, is never nowhere.
    for (const address of before?.ips ?? []) {
      const key = keyOfAddress(address, before);
      if (!wished.has(key)) this.#deps.keys.delete(key);
    }
  }

  /** An address key that names this node as its host, and so was written by it. */
  #isLeftover(suffix: string, entry: KeyValue): boolean {
    try {
      return decodeIp(suffix, entry.value).hostIp === this.#own.ip;
    } catch {
      return false;
    }
  }
}

/** Other clusters read the one place, only the own cluster the other. */
function keyOfAddress(address: IpAddress, endpoint: NodeEndpoint | undefined): string {
  const text = hostPrefix(address).address;
  return endpoint?.hidden ? hiddenIpPrefix + text : ipKey(text);
}
