import {
  type EndpointSlice,
  type KubernetesEvent,
  type KubernetesObject,
  type KubernetesSource,
  type Namespace,
  type Node,
  type Pod,
  type Service,
  kubernetesKinds,
} from '../../kubernetes/index.ts';
import { AsyncQueue } from '../../runtime/queue/index.ts';
import { formatPrefix } from '../../values/ip/index.ts';
import type { LabCluster } from '../topology/index.ts';
import { type EndpointPod, endpointSlicesOf } from './endpoint-slices.ts';
import { uidOf } from './names.ts';
import type { PlacedPod } from './placed-pod.ts';
import { nodePodCidr } from './schedule.ts';

export type PodState = 'running' | 'terminating' | 'stopped';

export interface SchedulerInput {
  readonly cluster: LabCluster;
  /** Underlay address of each node, in the order of the cluster's nodes. */
  readonly nodeAddresses: readonly string[];
  readonly namespaces: readonly Namespace[];
  readonly pods: readonly PlacedPod[];
  readonly services: readonly Service[];
  /** Slices of Services without selector, as the manifests give them. */
  readonly endpointSlices: readonly EndpointSlice[];
}

/**
 * The lab's scheduler of one cluster, as a {@link KubernetesSource}: Nodes, Namespaces, Pods with node and address,
 * Services, and the EndpointSlices that follow from the pods' states. Stopping and starting pods changes those states.
 */
export class LabScheduler implements KubernetesSource {
  readonly description: string;
  readonly kinds = kubernetesKinds;
  readonly #input: SchedulerInput;
  readonly #states = new Map<string, PodState>();
  readonly #watchers = new Set<AsyncQueue<KubernetesEvent>>();
  #known: ReadonlyMap<string, KubernetesObject>;

  constructor(input: SchedulerInput) {
    this.description = `scheduler of lab cluster ${input.cluster.name}`;
    this.#input = input;
    for (const pod of input.pods) this.#states.set(keyOf(pod.namespace, pod.name), 'running');
    this.#known = this.#objects();
  }

  stateOf(namespace: string, name: string): PodState | undefined {
    return this.#states.get(keyOf(namespace, name));
  }

  /** Changes a pod's state and tells the watchers what follows from it. @throws {RangeError} for an unknown pod. */
  setState(namespace: string, name: string, state: PodState): void {
    const key = keyOf(namespace, name);
    if (!this.#states.has(key)) throw new RangeError(`Cluster ${this.#input.cluster.name} has no pod ${key}`);
    this.#states.set(key, state);
    const before = this.#known;
    this.#known = this.#objects();
    for (const event of difference(before, this.#known)) for (const watcher of this.#watchers) watcher.push(event);
  }

  async *watch(signal: AbortSignal): AsyncGenerator<KubernetesEvent, void, void> {
    const queue = new AsyncQueue<KubernetesEvent>();
    const onAbort = (): void => queue.end();
    if (signal.aborted) return;
    for (const object of this.#known.values()) queue.push({ type: 'upsert', object });
    for (const kind of this.kinds) queue.push({ type: 'synced', kind });
    this.#watchers.add(queue);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      yield* queue;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#watchers.delete(queue);
    }
  }

  #objects(): ReadonlyMap<string, KubernetesObject> {
    const { cluster, services, pods } = this.#input;
    const alive = pods.filter((pod) => this.stateOf(pod.namespace, pod.name) !== 'stopped');
    const endpoints: EndpointPod[] = alive.map((placed) => ({
      pod: placed.pod,
      node: placed.node,
      ip: placed.ip,
      terminating: this.stateOf(placed.namespace, placed.name) === 'terminating',
    }));
    const objects: KubernetesObject[] = [
      ...this.#namespaces(),
      ...cluster.nodes.map((_, index) => this.#node(index)),
      ...alive.map((placed) => this.#pod(placed)),
      ...services,
      ...services.flatMap((service) => endpointSlicesOf(service, endpoints)),
      ...this.#input.endpointSlices,
    ];
    return new Map(
      objects.map((object) => [`${object.kind}/${keyOf(object.metadata.namespace, object.metadata.name)}`, object]),
    );
  }

  /** Namespaces of the manifests, and those that only objects mention, as `kubectl create namespace` would label them. */
  #namespaces(): Namespace[] {
    const { namespaces, pods, services } = this.#input;
    const named = new Map(namespaces.map((namespace) => [namespace.metadata.name, namespace]));
    for (const name of [
      ...pods.map((pod) => pod.namespace),
      ...services.map((service) => service.metadata.namespace),
    ]) {
      if (!named.has(name))
        named.set(name, {
          kind: 'Namespace',
          metadata: { name, namespace: '', uid: uidOf(name), labels: {}, annotations: {} },
        });
    }
    return [...named.values()].map((namespace) => {
      const labels = { ...namespace.metadata.labels, 'kubernetes.io/metadata.name': namespace.metadata.name };
      return { ...namespace, metadata: { ...namespace.metadata, labels } };
    });
  }

  #node(index: number): Node {
    const { cluster, nodeAddresses } = this.#input;
    const name = cluster.nodes[index] ?? '';
    const address = nodeAddresses[index];
    return {
      kind: 'Node',
      metadata: {
        name,
        namespace: '',
        uid: uidOf(`${cluster.name}/${name}`),
        labels: {
          'kubernetes.io/hostname': name,
          'kubernetes.io/os': 'linux',
          'topology.kubernetes.io/region': cluster.name,
        },
        annotations: {},
      },
      spec: { podCIDRs: [formatPrefix(nodePodCidr(cluster, index))] },
      status: { addresses: address ? [{ type: 'InternalIP', address }] : [], ready: true },
    };
  }

  #pod(placed: PlacedPod): Pod {
    const { cluster, nodeAddresses } = this.#input;
    const hostIP = nodeAddresses[cluster.nodes.indexOf(placed.node)];
    const ready = this.stateOf(placed.namespace, placed.name) === 'running';
    return {
      ...placed.pod,
      spec: { ...placed.pod.spec, nodeName: placed.node },
      status: { phase: 'Running', podIPs: [placed.ip], ready, ...(hostIP ? { hostIP } : {}) },
    };
  }
}

function* difference(
  before: ReadonlyMap<string, KubernetesObject>,
  after: ReadonlyMap<string, KubernetesObject>,
): Generator<KubernetesEvent> {
  for (const [key, object] of after) {
    if (JSON.stringify(before.get(key)) !== JSON.stringify(object)) yield { type: 'upsert', object };
  }
  for (const [key, { kind, metadata }] of before) {
    if (!after.has(key)) yield { type: 'delete', kind, namespace: metadata.namespace, name: metadata.name };
  }
}

function keyOf(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}
