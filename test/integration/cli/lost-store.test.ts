import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { hash } from '../../../kvstore/allocator/hash.ts';
import { type EtcdStore, openEtcdStore, toText } from '../../../kvstore/index.ts';
import { systemClock as clock } from '../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../runtime/log/index.ts';
import { callUnixApi } from '../../../runtime/serve/index.ts';
import { identityRange } from '../../../values/identity/index.ts';
import { type EtcdProcess, startEtcd } from '../../support/etcd.ts';
import { needs } from '../../support/probe.ts';
import { until } from '../../support/until.ts';

jest.setTimeout(180_000);

const isthmus = join(import.meta.dirname, '../../../bin/isthmus');
const identities = 'cilium/state/identities/v1/id/';
const range = identityRange(1);

let folder: string;
let stack: AsyncDisposableStack;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-lost-'));
  stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
});
afterEach(() => stack.disposeAsync());

/** One process of the cluster; what it says on standard error is told when it ends before its time. */
class Running {
  readonly socket: string;
  readonly child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #said = '';

  constructor(name: string, args: readonly string[]) {
    this.socket = join(folder, `${name}.sock`);
    this.child = spawn(isthmus, [...args, `--api-socket=${this.socket}`, '--cluster-name=east', '--cluster-id=1'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    this.#exited = new Promise((resolve) => this.child.once('close', resolve));
    stack.defer(() => this.kill());
  }

  async call(method: 'GET' | 'PUT', route: string, body?: unknown): Promise<unknown> {
    if (this.child.exitCode !== null) throw new Error(`It has ended: ${this.#said}`);
    return await callUnixApi(this.socket, { method, route, ...(body === undefined ? {} : { body }) });
  }

  /** What it says of itself; undefined while it does not listen yet. */
  async status<T>(): Promise<T | undefined> {
    if (this.child.exitCode !== null) throw new Error(`It has ended: ${this.#said}`);
    return (await callUnixApi(this.socket, { route: '/v1/status' }).catch(() => undefined)) as T | undefined;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#exited;
  }
}

interface ApiserverStatus {
  readonly ready: boolean;
  readonly waitingFor: readonly string[];
  readonly errors: readonly { readonly object: string; readonly reason: string }[];
}

/** Every meaning that any number ever had in the store, as a reader sees it that was never away. */
class Meanings {
  readonly seen = new Map<number, Set<string>>();

  constructor(store: EtcdStore) {
    const ending = new AbortController();
    const following = (async () => {
      for await (const batch of store.listAndWatch(identities, { signal: ending.signal }))
        if (batch.type === 'changes')
          for (const event of batch.events)
            if (event.type === 'put')
              this.note(Number(toText(event.entry.key).slice(identities.length)), toText(event.entry.value));
    })();
    stack.defer(async () => {
      ending.abort();
      await following;
    });
  }

  note(id: number, text: string): void {
    const texts = this.seen.get(id) ?? new Set();
    this.seen.set(id, texts.add(text));
  }

  /** Numbers that have meant more than one thing. */
  contradictions(): string[] {
    return [...this.seen]
      .filter(([, texts]) => texts.size > 1)
      .map(([id, texts]) => `${id}: ${[...texts].join(' or ')}`);
  }
}

const numberThatComesFirst = (text: string): number => range.min + (hash(text) % (range.max - range.min + 1));

/** An etcd, an apiserver of manifests, and the agents of two nodes, whose kernels are in memory. */
class Cluster {
  readonly etcd: EtcdProcess;
  readonly store: EtcdStore;
  readonly agents: ReadonlyMap<string, Running>;
  readonly #pods = new Map<string, { readonly app: string; readonly node: string; readonly ip: string }>();
  apiserver: Running | undefined;
  #lives = 0;

  constructor(etcd: EtcdProcess) {
    this.etcd = etcd;
    this.store = stack.use(openEtcdStore({ endpoints: [etcd.endpoint], clock, log }));
    this.agents = new Map(['n1', 'n2'].map((node, i) => [node, this.#agent(node, `192.168.7.${i + 1}`)]));
  }

  static async start(): Promise<Cluster> {
    const etcd = stack.use(await startEtcd({ dataDir: join(folder, 'etcd') }));
    await writeFile(join(folder, 'store.yaml'), `endpoints: [${etcd.endpoint}]\n`);
    await mkdir(join(folder, 'manifests'));
    const cluster = new Cluster(etcd);
    await cluster.has({});
    await cluster.startApiserver();
    return cluster;
  }

  #agent(node: string, ip: string): Running {
    const own = [`--node-name=${node}`, `--node-ip=${ip}`, '--kernel=memory', `--state-dir=${join(folder, node)}`];
    return new Running(node, ['agent', ...own, '--store=etcd', `--store-config=${join(folder, 'store.yaml')}`]);
  }

  async startApiserver(): Promise<Running> {
    const source = [`--source=manifests:${join(folder, 'manifests')}`, '--store=etcd'];
    this.apiserver = new Running(`apiserver-${++this.#lives}`, [
      'apiserver',
      ...source,
      `--store-config=${join(folder, 'store.yaml')}`,
    ]);
    return this.apiserver;
  }

  async status(): Promise<ApiserverStatus | undefined> {
    return await this.apiserver?.status<ApiserverStatus>();
  }

  /** These pods and no others, as Kubernetes says: name → app and node. A node goes on with others for as long as it likes. */
  async has(pods: Readonly<Record<string, readonly [app: string, node: string]>>): Promise<void> {
    const documents = ['{apiVersion: v1, kind: Namespace, metadata: {name: shop}}'];
    for (const [i, node] of ['n1', 'n2'].entries())
      documents.push(
        `{apiVersion: v1, kind: Node, metadata: {name: ${node}}, spec: {podCIDRs: [10.1.${i}.0/24]}, ` +
          'status: {conditions: [{type: Ready, status: "True"}]}}',
      );
    for (const [name, [app, node]] of Object.entries(pods)) {
      const ip = this.#pods.get(name)?.ip ?? `10.1.${node === 'n1' ? 0 : 1}.${this.#pods.size + 10}`;
      this.#pods.set(name, { app, node, ip });
      documents.push(
        `{apiVersion: v1, kind: Pod, metadata: {name: ${name}, namespace: shop, labels: {app: ${app}}}, ` +
          `spec: {nodeName: ${node}, serviceAccountName: default, containers: []}, ` +
          `status: {phase: Running, podIPs: [{ip: ${ip}}], conditions: [{type: Ready, status: "True"}]}}`,
      );
    }
    await writeFile(join(folder, 'objects.new'), documents.join('\n---\n'));
    await rename(join(folder, 'objects.new'), join(folder, 'manifests/objects.yaml'));
  }

  /** Attaches a pod on its node, and gives its identity once it has one. */
  async runs(name: string): Promise<number> {
    const { node, ip } = this.#pods.get(name) ?? { node: '', ip: '' };
    const agent = this.agents.get(node);
    const body = { ips: [ip], link: `lxc-${name}`, mac: `02:00:00:00:00:${ip.split('.').at(-1)?.padStart(2, '0')}` };
    await until(() =>
      agent!.call('PUT', `/v1/endpoints/shop/${name}`, body).then(
        () => true,
        () => false,
      ),
    );
    let identity = 0;
    await until(async () => (identity = (await this.identityOf(name)) ?? 0) > 255);
    return identity;
  }

  /** The identity that the pod's node uses. */
  async identityOf(name: string): Promise<number | undefined> {
    const { node = '' } = this.#pods.get(name) ?? {};
    const endpoints = (await this.agents.get(node)?.call('GET', '/v1/endpoints')) as readonly {
      readonly name: string;
      readonly identity: number;
    }[];
    return endpoints.find((endpoint) => endpoint.name === name)?.identity;
  }

  /** Of how many identities of the cluster a node's agent knows. */
  async identitiesKnown(node: string): Promise<number | undefined> {
    const status = await this.agents.get(node)?.status<{ readonly counts: { readonly identities: number } }>();
    return status?.counts.identities;
  }

  async meaningOf(id: number): Promise<string | undefined> {
    const entry = await this.store.get(`${identities}${id}`);
    return entry && toText(entry.value);
  }

  /** What the store says that a node holds. */
  async heldBy(node: string): Promise<string> {
    return toText((await this.store.get(`isthmus/v1/held/${node}`))?.value ?? new Uint8Array());
  }

  /** Nobody of these hears or says anything until the answer is called. */
  freeze(): () => void {
    for (const { child } of this.agents.values()) child.kill('SIGSTOP');
    return () => {
      for (const { child } of this.agents.values()) child.kill('SIGCONT');
    };
  }

  /** Ends apiserver and etcd, puts `data` (nothing: an empty store) in its place, and starts both while the agents are frozen. */
  async loseStore(data: string | undefined, before: () => Promise<void>): Promise<() => void> {
    const thaw = this.freeze();
    await this.apiserver?.kill();
    await this.etcd.kill();
    await rm(this.etcd.dataDir, { recursive: true });
    if (data !== undefined) await cp(data, this.etcd.dataDir, { recursive: true });
    await this.etcd.restart();
    await this.store.get('anything');
    await before();
    await this.startApiserver();
    await until(async () => {
      const waiting = (await this.status())?.waitingFor ?? [];
      return ['n1', 'n2'].every((node) => waiting.includes(`identities that node ${node} uses`));
    });
    return thaw;
  }
}

/** An app whose labels point to the same number as those of another, so that only knowing who has it keeps them apart. */
function rivalOf(text: string, app: string): string {
  for (let i = 0; ; i++) {
    const rival = `rival-${i}`;
    if (numberThatComesFirst(text.replace(`k8s:app=${app};`, `k8s:app=${rival};`)) === numberThatComesFirst(text))
      return rival;
  }
}

needs('etcd')('A cluster whose store is lost while its agents go on', () => {
  test('gives no number to other labels, whether the store is empty, an older copy, or contradicts', async () => {
    const cluster = await Cluster.start();
    const meanings = new Meanings(cluster.store);
    await cluster.has({ a: ['a', 'n1'], b: ['b', 'n2'], f: ['f', 'n2'] });
    const [a, b] = [await cluster.runs('a'), await cluster.runs('b')];
    const [textOfA, textOfB] = [await cluster.meaningOf(a), await cluster.meaningOf(b)];
    expect(textOfA).toContain('k8s:app=a;');
    expect([a, b]).toEqual([textOfA, textOfB].map((text) => numberThatComesFirst(text ?? '')));
    await until(async () => (await cluster.heldBy('n1')).includes(`"${a}"`));
    // No node has an endpoint of `f`; but agents know its number, as other clusters do.
    const textOfF = textOfA?.replace('k8s:app=a;', 'k8s:app=f;') ?? '';
    const f = numberThatComesFirst(textOfF);
    await until(async () => (await cluster.meaningOf(f)) === textOfF);
    await until(async () => (await cluster.identitiesKnown('n1')) === 3);

    // Wiped. Kubernetes does not know pods `a` and `f` any more; and others' labels point to their numbers.
    let thaw = await cluster.loseStore(undefined, () =>
      cluster.has({
        b: ['b', 'n2'],
        c: [rivalOf(textOfA ?? '', 'a'), 'n1'],
        g: [rivalOf(textOfF, 'f'), 'n1'],
      }),
    );
    expect(await cluster.meaningOf(a)).toBeUndefined();
    thaw();
    const c = await cluster.runs('c');
    expect(c).not.toBe(a);
    expect(await cluster.runs('g')).not.toBe(f);
    expect(await cluster.meaningOf(f)).toBeUndefined();
    expect([await cluster.meaningOf(a), await cluster.identityOf('a')]).toEqual([textOfA, a]);
    expect([await cluster.meaningOf(b), await cluster.identityOf('b')]).toEqual([textOfB, b]);

    // A copy in which both nodes have spoken, but not of pod `d`; it is gone from Kubernetes by then, and runs.
    await until(async () => (await cluster.heldBy('n1')).includes(`"${c}"`));
    await cluster.etcd.stop();
    const copy = join(folder, 'copy');
    await cp(cluster.etcd.dataDir, copy, { recursive: true });
    await cluster.etcd.restart();
    await cluster.has({ b: ['b', 'n2'], d: ['d', 'n2'] });
    const d = await cluster.runs('d');
    const textOfD = (await cluster.meaningOf(d)) ?? '';
    await until(async () => (await cluster.heldBy('n2')).includes(`"${d}"`));
    thaw = await cluster.loseStore(copy, () => cluster.has({ b: ['b', 'n2'], e: [rivalOf(textOfD, 'd'), 'n1'] }));
    expect(await cluster.heldBy('n2')).not.toContain(`"${d}"`);
    expect(await cluster.meaningOf(d)).toBeUndefined();
    thaw();
    const e = await cluster.runs('e');
    expect(e).not.toBe(d);
    expect([await cluster.meaningOf(d), await cluster.identityOf('d')]).toEqual([textOfD, d]);
    expect((await cluster.status())?.errors).toEqual([]);
    expect(meanings.contradictions()).toEqual([]);

    // A copy from when the number of `b` meant something else: refused to that, named, and left by `b`.
    const textOfX = textOfB?.replace('k8s:app=b;', 'k8s:app=x;') ?? '';
    thaw = await cluster.loseStore(undefined, async () => {
      await cluster.store.put(`${identities}${b}`, textOfX);
      await cluster.has({ x: ['x', 'n1'] });
    });
    thaw();
    const x = await cluster.runs('x');
    expect(x).not.toBe(b);
    expect([await cluster.meaningOf(x), await cluster.identityOf('b')]).toEqual([textOfX, b]);
    const reason = `means ${textOfX} in the store, and ${textOfB} to n2`;
    expect((await cluster.status())?.errors).toEqual([{ object: `identity ${b}`, reason }]);
    await cluster.has({ x: ['x', 'n1'], b: ['b', 'n2'] });
    await until(async () => ![b, undefined].includes(await cluster.identityOf('b')));
    expect(await cluster.meaningOf((await cluster.identityOf('b')) ?? 0)).toBe(textOfB);
    await until(async () => (await cluster.status())?.errors.length === 0);
    // The reader who is to notice a second meaning has noticed this one, which was put there behind everybody's back.
    expect(meanings.contradictions()).toEqual([expect.stringContaining(`${b}: `)]);
  });
});
