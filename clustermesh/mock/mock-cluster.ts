import { Random } from '../../runtime/random/index.ts';
import { type MaxConnectedClusters, identityRange } from '../../values/identity/index.ts';
import { hostPrefix, numberToIpv4 } from '../../values/ip/index.ts';
import {
  type Layout,
  type PortConfiguration,
  encodeIdentity,
  encodeIp,
  encodeNode,
  encodeService,
  watchPrefix,
} from '../wire/index.ts';
import { NumberPool } from './numbers.ts';
import { type MockShape, addressBlock } from './shape.ts';

export interface MockClusterOptions {
  readonly name: string;
  /** From 1. */
  readonly id: number;
  readonly shape: MockShape;
  readonly layout: Layout;
  readonly maxConnectedClusters: MaxConnectedClusters;
  readonly seed: number;
}

/** What a reader of the cluster's store would see. */
export type MockChange =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'delete'; readonly key: string };

export type MockKind = 'endpoint' | 'identity' | 'node';

/**
 * A cluster that exists in its store only: records of the size and form that Cilium writes, none of them true. Knows what it
 * has said, so that each change makes sense: endpoints come and go around their number, on nodes and with identities that are
 * there. The same seed says the same in the same order.
 */
export class MockCluster {
  readonly name: string;
  readonly id: number;
  readonly #options: MockClusterOptions;
  readonly #random: Random;
  readonly #identities: NumberPool;
  readonly #nodes: NumberPool;
  readonly #endpoints: NumberPool;
  #changes = 0;

  constructor(options: MockClusterOptions) {
    const { id, maxConnectedClusters: max } = options;
    this.#options = options;
    this.name = options.name;
    this.id = id;
    this.#random = new Random(Math.imul(options.seed + 1, 0x9e3779b1) + id);
    const range = identityRange(id, max);
    this.#identities = new NumberPool(range.max - range.min - 255, this.#random);
    this.#nodes = new NumberPool(addressBlock('node', id, max).size, this.#random);
    this.#endpoints = new NumberPool(addressBlock('endpoint', id, max).size, this.#random);
  }

  /** Everything that it has at first, or after `shape` numbers of changes: called once. */
  *records(): Generator<Extract<MockChange, { type: 'put' }>, void, void> {
    const { nodes, identities, endpoints, services } = this.#options.shape;
    for (let i = 0; i < identities; i++) yield this.#putIdentity(this.#identities.take());
    for (let i = 0; i < nodes; i++) yield this.#putNode(this.#nodes.take());
    for (let i = 0; i < endpoints; i++) yield this.#putEndpoint(this.#endpoints.take());
    for (let i = 0; i < services; i++) yield this.#putService(i);
  }

  /** Another round of records with what it has now, for a store that has lost them. */
  *repeat(): Generator<Extract<MockChange, { type: 'put' }>, void, void> {
    for (const number of this.#identities) yield this.#putIdentity(number);
    for (const number of this.#nodes) yield this.#putNode(number);
    for (const number of this.#endpoints) yield this.#putEndpoint(number);
    for (let i = 0; i < this.#options.shape.services; i++) yield this.#putService(i);
  }

  /** The next change of a kind: one that is too many goes, else one comes; a node changes its labels. */
  change(kind: MockKind): MockChange {
    this.#changes += 1;
    if (kind === 'node') return this.#putNode(this.#nodes.any() ?? this.#nodes.take());
    const pool = kind === 'endpoint' ? this.#endpoints : this.#identities;
    const target = this.#options.shape[kind === 'endpoint' ? 'endpoints' : 'identities'];
    const number = pool.size > target || (pool.size === target && this.#changes % 2 === 0) ? pool.any() : undefined;
    // The last identity stays: endpoints need one.
    if (number !== undefined && (kind === 'endpoint' || pool.size > 1)) {
      pool.giveBack(number);
      return { type: 'delete', key: kind === 'endpoint' ? this.#endpointKey(number) : this.#identityKey(number) };
    }
    return kind === 'endpoint' ? this.#putEndpoint(pool.take()) : this.#putIdentity(pool.take());
  }

  /** The key of some endpoint that it has. */
  anyEndpointKey(): string | undefined {
    const number = this.#endpoints.any();
    return number === undefined ? undefined : this.#endpointKey(number);
  }

  #putIdentity(number: number): Extract<MockChange, { type: 'put' }> {
    const namespace = this.#namespaceOf(number);
    const label = (key: string, value: string) => ({ source: 'k8s', key, value });
    const labels = [
      label('app', `app-${number % 97}`),
      label('io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name', namespace),
      label('io.cilium.k8s.policy.cluster', this.name),
      label('io.cilium.k8s.policy.serviceaccount', `account-${number % 7}`),
      label('io.kubernetes.pod.namespace', namespace),
    ];
    return { type: 'put', key: this.#identityKey(number), value: encodeIdentity({ labels }) };
  }

  #putNode(number: number): Extract<MockChange, { type: 'put' }> {
    const name = `node-${number}`;
    const { id, maxConnectedClusters: max } = this.#options;
    const pods = addressBlock('endpoint', id, max);
    // Sixteen addresses a node: enough for the router's, the health endpoint's and the form of the record.
    const first = pods.base + ((number * 16) % pods.size);
    const value = encodeNode({
      name,
      cluster: this.name,
      clusterId: id,
      addresses: [
        { type: 'InternalIP', ip: this.#nodeIp(number) },
        { type: 'CiliumInternalIP', ip: numberToIpv4(first) },
      ],
      podCidrs: [{ family: 4, address: numberToIpv4(first), length: 28 }],
      healthIps: [numberToIpv4(first + 1)],
      ingressIps: [],
      source: '',
      encryptionKey: 0,
      labels: {
        'kubernetes.io/arch': 'amd64',
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'mock.isthmus.io/change': String(this.#changes),
      },
      annotations: {},
      wireguardPublicKey: '',
      bootId: '',
    });
    return { type: 'put', key: this.#key('nodes', name), value };
  }

  #putEndpoint(number: number): Extract<MockChange, { type: 'put' }> {
    const { id, maxConnectedClusters: max } = this.#options;
    const identity = this.#identities.any() ?? 0;
    const value = encodeIp({
      prefix: hostPrefix(this.#endpointIp(number)),
      cidr: false,
      hostIp: this.#nodeIp(this.#nodes.any() ?? 0),
      identity: identityRange(id, max).min + 255 + identity,
      encryptKey: 0,
      metadata: '',
      namespace: this.#namespaceOf(identity),
      podName: `pod-${number}-${this.#changes}`,
      serviceAccount: `account-${identity % 7}`,
      namedPorts: [],
    });
    return { type: 'put', key: this.#endpointKey(number), value };
  }

  #putService(number: number): Extract<MockChange, { type: 'put' }> {
    const { id, maxConnectedClusters: max, shape } = this.#options;
    const [namespace, name] = [this.#namespaceOf(number), `service-${number}`];
    const frontend: PortConfiguration = { http: { protocol: 'TCP', port: 80 } };
    const backend: PortConfiguration = { http: { protocol: 'TCP', port: 8080 } };
    const backends: string[] = [];
    for (let i = 0; i < 5 && shape.endpoints > 0; i++) {
      const endpoint = this.#endpoints.any();
      if (endpoint !== undefined) backends.push(this.#endpointIp(endpoint));
    }
    const value = encodeService({
      cluster: this.name,
      clusterId: id,
      namespace,
      name,
      frontends: { [numberToIpv4(addressBlock('service', id, max).base + number)]: frontend },
      backends: Object.fromEntries(backends.map((ip) => [ip, backend])),
      hostnames: {},
      zones: {},
      labels: { app: `app-${number % 97}` },
      selector: { app: `app-${number % 97}` },
      includeExternal: true,
      shared: true,
    });
    return { type: 'put', key: this.#key('services', `${namespace}/${name}`), value };
  }

  #key(resource: 'nodes' | 'services' | 'ip' | 'identities', suffix: string): string {
    return watchPrefix(resource, this.name, this.#options.layout) + suffix;
  }

  #endpointKey(number: number): string {
    return this.#key('ip', this.#endpointIp(number));
  }

  #identityKey(number: number): string {
    const { id, maxConnectedClusters: max } = this.#options;
    return this.#key('identities', String(identityRange(id, max).min + 255 + number));
  }

  #endpointIp(number: number): string {
    return numberToIpv4(addressBlock('endpoint', this.id, this.#options.maxConnectedClusters).base + number);
  }

  #nodeIp(number: number): string {
    return numberToIpv4(addressBlock('node', this.id, this.#options.maxConnectedClusters).base + number);
  }

  #namespaceOf(number: number): string {
    return `namespace-${number % 20}`;
  }
}
