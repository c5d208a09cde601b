import { Apiserver, type ApiserverOptions } from '../../../../clustermesh/index.ts';
import {
  type KubernetesEvent,
  type KubernetesKind,
  type KubernetesObject,
  type KubernetesSource,
  MemorySource,
  parseManifests,
} from '../../../../kubernetes/index.ts';
import { EngineStore, MemoryEngine, type Store, toText } from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';

/** An apiserver of cluster `east` over a store in memory, in virtual time. */
export class Harness implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly engine = new MemoryEngine({ clock: this.clock });
  readonly store: Store = new EngineStore(this.engine, { clock: this.clock, endpoint: 'memory' });
  readonly source: MemorySource;
  #stop = new AbortController();
  #running: Promise<void> | undefined;
  #apiserver: Apiserver | undefined;

  readonly #promises: Pick<KubernetesSource, 'namesNamespaces'>;

  /**
   * @param kinds what the source follows; those of mode `kubernetes` unless told.
   * @param promises what else it says of itself
   */
  constructor(kinds?: readonly KubernetesKind[], promises: Pick<KubernetesSource, 'namesNamespaces'> = {}) {
    this.source = new MemorySource('memory', kinds);
    this.#promises = promises;
  }

  get apiserver(): Apiserver {
    if (!this.#apiserver) throw new Error('not started');
    return this.#apiserver;
  }

  /** Starts a life of the apiserver and lets it do what it can at once. */
  async start(options: Partial<ApiserverOptions> = {}): Promise<void> {
    this.#stop = new AbortController();
    const { store, clock } = this;
    const { kinds, description } = this.source;
    const watch = (signal: AbortSignal): AsyncIterable<KubernetesEvent> => this.source.watch(signal);
    const source: KubernetesSource = { description, kinds, watch, ...this.#promises };
    // No agents run here; tests that play them say how long they are waited for.
    const fixed = { clusterName: 'east', clusterId: 1, identityOpeningMs: 0 };
    const all = { ...fixed, store, clock, source, log: silentLogger, ...options };
    this.#apiserver = new Apiserver(all);
    this.#running = this.#apiserver.run(this.#stop.signal);
    this.#running.catch(() => undefined);
    await this.settle();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new DOMException('stopped', 'AbortError'));
    await this.#running;
    await this.#apiserver?.[Symbol.asyncDispose]();
  }

  /** Everything that is due now happens; time passes by less than a second. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) await this.clock.advance(1);
  }

  add(...objects: readonly KubernetesObject[]): void {
    for (const object of objects) this.source.set(object);
  }

  /** What is stored under a prefix, without it. */
  async stored(prefix: string): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for await (const page of this.store.list(prefix))
      for (const { key, value } of page.entries) found[toText(key).slice(prefix.length)] = toText(value);
    return found;
  }

  async bytes(prefix: string): Promise<Map<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>();
    for await (const page of this.store.list(prefix))
      for (const { key, value } of page.entries) found.set(toText(key).slice(prefix.length), value.slice());
    return found;
  }

  async keys(prefix: string): Promise<string[]> {
    return Object.keys(await this.stored(prefix));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#running) await this.stop();
    await this.store[Symbol.asyncDispose]();
    await this.engine[Symbol.asyncDispose]();
  }
}

/** Objects of a few lines of YAML. */
export function yaml(text: string): readonly KubernetesObject[] {
  const { objects, errors } = parseManifests('test', text);
  if (errors[0]) throw new Error(errors[0].message);
  return objects;
}

export function namespace(name: string, extra = ''): readonly KubernetesObject[] {
  return yaml(`{apiVersion: v1, kind: Namespace, metadata: {name: ${name}${extra}}}`);
}

export function node(name: string, ready = true): readonly KubernetesObject[] {
  return yaml(`
apiVersion: v1
kind: Node
metadata: {name: ${name}, labels: {topology.kubernetes.io/zone: z1}}
spec: {podCIDRs: [10.1.0.0/24]}
status: {conditions: [{type: Ready, status: "${ready ? 'True' : 'False'}"}]}
`);
}

export function pod(
  name: string,
  options: { app?: string; on?: string; ip?: string; extra?: string; ns?: string } = {},
): readonly KubernetesObject[] {
  const { app = 'web', on = 'n1', ip = '10.1.0.5', extra = '', ns = 'shop' } = options;
  return yaml(`
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: ${ns}, labels: {app: ${app}, pod-template-hash: h-${name}}}
spec: {nodeName: ${on}, serviceAccountName: sa, containers: [{ports: [{name: http, containerPort: 8080}]}]${extra}}
status: {phase: Running, podIPs: [{ip: ${ip}}], conditions: [{type: Ready, status: "True"}]}
`);
}

export function service(
  name: string,
  annotations = '{service.cilium.io/global: "true"}',
  spec = '',
): readonly KubernetesObject[] {
  return yaml(`
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop, annotations: ${annotations}}
spec: {clusterIP: 10.96.0.7, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]${spec}}
`);
}

export function slice(
  name: string,
  of: string,
  endpoints = '[{addresses: [10.1.0.5], nodeName: n1, zone: z1}]',
): readonly KubernetesObject[] {
  return yaml(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, namespace: shop, labels: {kubernetes.io/service-name: ${of}}}
addressType: IPv4
endpoints: ${endpoints}
ports: [{name: http, port: 8080}]
`);
}

/** A small cluster: a namespace with three pods on a node, and a Service that is shared. */
export function shop(): KubernetesObject[] {
  return [
    ...namespace('shop', ', labels: {team: red}'),
    ...node('n1'),
    ...pod('web-1'),
    ...pod('web-2', { ip: '10.1.0.6' }),
    ...pod('db-1', { app: 'db', ip: '10.1.0.7' }),
    ...service('web'),
    ...slice('web-abc', 'web'),
  ];
}
