import { type ChildProcess, spawn } from 'node:child_process';
import { appendFile, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { leaderKey } from '../../../clustermesh/index.ts';
import { type KeyValue, type OpenStore, openStore, storeAddressOf, toText } from '../../../kvstore/index.ts';
import { systemClock as clock } from '../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../runtime/log/index.ts';
import { callUnixApi } from '../../../runtime/serve/index.ts';
import { startConsul } from '../../support/consul.ts';
import { startEtcd } from '../../support/etcd.ts';
import { needs } from '../../support/probe.ts';
import { until } from '../../support/until.ts';

jest.setTimeout(120_000);

const isthmus = join(import.meta.dirname, '../../../bin/isthmus');
const objects = join(import.meta.dirname, '../../fixtures/cilium/cilium-state-objects.yaml');
const leader = leaderKey('apiserver');
const identity = `
---
apiVersion: cilium.io/v2
kind: CiliumIdentity
metadata: {name: "199999"}
security-labels: {"k8s:app": late, "k8s:io.cilium.k8s.policy.cluster": cluster3, "k8s:io.kubernetes.pod.namespace": default}
`;

let folder: string;
let stack: AsyncDisposableStack;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-replicas-'));
  stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'manifests'));
  await copyFile(objects, join(folder, 'manifests/objects.yaml'));
});
afterEach(() => stack.disposeAsync());

interface Replica {
  readonly child: ChildProcess;
  readonly name: string;
  status(): Promise<{ ready: boolean; leading: boolean; leader?: string; queued: number }>;
}

function replica(store: 'etcd' | 'consul', name: string, term: string): Replica {
  const socket = join(folder, `${name}.sock`);
  const child = spawn(
    isthmus,
    [
      'apiserver',
      '--cluster-name=cluster3',
      '--cluster-id=3',
      '--source-mode=cilium',
      '--clustermesh-enable-mcs-api',
    ].concat(
      [`--store=${store}`, `--store-config=${join(folder, 'store.yaml')}`, `--source=manifests:${folder}/manifests`],
      [`--api-socket=${socket}`, `--leader-elect-lease-duration=${term}`],
    ),
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exited = new Promise((resolve) => child.once('close', resolve));
  stack.defer(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return {
    child,
    name,
    status: async () => {
      if (child.exitCode !== null) throw new Error(`${name} has ended: ${stderr}`);
      try {
        const { ready, queued, election } = (await callUnixApi(socket, { route: '/v1/status' })) as {
          ready: boolean;
          queued: number;
          election: { leading: boolean; leader?: string };
        };
        return { ready, queued, ...election };
      } catch {
        return { ready: false, leading: false, queued: 0 };
      }
    },
  };
}

async function openWatched(kind: 'etcd' | 'consul', config: string): Promise<OpenStore> {
  await writeFile(join(folder, 'store.yaml'), config);
  const address = storeAddressOf({ kind, configFile: join(folder, 'store.yaml'), dataDirectory: undefined });
  const opened = await openStore(address, { clock, log });
  stack.use(opened);
  return opened;
}

/** What readers of the store see: the records as they are now, and everything that ever disappeared. */
class Reader {
  readonly records = new Map<string, Pick<KeyValue, 'lease'> & { readonly value: string }>();
  readonly deleted: string[] = [];
  /** The lease of every write, in order. */
  readonly written: bigint[] = [];

  constructor({ store }: OpenStore) {
    const ending = new AbortController();
    const following = this.#follow(store, ending.signal);
    stack.defer(async () => {
      ending.abort();
      await following;
    });
  }

  async #follow(store: OpenStore['store'], signal: AbortSignal): Promise<void> {
    for await (const batch of store.listAndWatch('cilium/', { signal })) {
      if (batch.type !== 'changes') continue;
      for (const event of batch.events)
        if (event.type === 'delete') this.deleted.push(toText(event.key));
        else {
          const { key, value, lease } = event.entry;
          this.written.push(lease);
          this.records.set(toText(key), { value: toText(value), lease });
        }
    }
  }

  /** Records that carry no time: equal in every life. */
  lasting(): Map<string, string> {
    return new Map(
      [...this.records]
        .filter(([key]) => !key.startsWith('cilium/synced/') && key !== 'cilium/.heartbeat')
        .map(([key, { value }]) => [key, value]),
    );
  }

  leases(): Set<bigint> {
    return new Set([...this.records.values()].map(({ lease }) => lease));
  }
}

const stores = {
  etcd: async () => {
    const etcd = stack.use(await startEtcd());
    return openWatched('etcd', `endpoints: [${etcd.endpoint}]\n`);
  },
  consul: async () => {
    const consul = stack.use(await startConsul());
    return openWatched('consul', `addresses: ['${consul.endpoint}']\n`);
  },
};

/** Two replicas, of which one leads and has published everything. */
async function two(
  kind: 'etcd' | 'consul',
  term: string,
): Promise<{ first: Replica; second: Replica; reader: Reader; opened: OpenStore }> {
  const opened = await stores[kind]();
  const reader = new Reader(opened);
  const first = replica(kind, 'first', term);
  await until(async () => (await first.status()).ready, pause);
  const second = replica(kind, 'second', term);
  await until(async () => (await second.status()).leader !== undefined, pause);
  expect(await second.status()).toMatchObject({ leading: false, leader: (await first.status()).leader });
  await until(() => reader.records.size === 80, pause);
  return { first, second, reader, opened };
}

const pause = (): Promise<void> => clock.sleep(50);

/** Every record was written again under a lease of the second replica, and none was gone in between. */
async function expectTakenOver(
  second: Replica,
  reader: Reader,
  before: ReturnType<Reader['lasting']>,
  leases: Set<bigint>,
): Promise<void> {
  await until(async () => {
    const { ready, leading, queued } = await second.status();
    return ready && leading && queued === 0;
  }, pause);
  await until(() => reader.leases().isDisjointFrom(leases), pause);
  expect(reader.lasting()).toEqual(before);
  expect(reader.deleted).toEqual([]);
}

for (const kind of ['etcd', 'consul'] as const)
  needs(kind)(`Two apiservers on ${kind}`, () => {
    test('the one that is killed is followed at once by the other, and no record disappears', async () => {
      const { first, second, reader } = await two(kind, '10s');
      const before = reader.lasting();
      const leases = reader.leases();
      first.child.kill('SIGKILL');
      await expectTakenOver(second, reader, before, leases);
    });

    // What has stopped is not known to have ended: a term has to pass.
    test('the one that stands still is followed after a term, and neither leads nor writes when it goes on', async () => {
      const { first, second, reader, opened } = await two(kind, '3s');
      const before = reader.lasting();
      const leases = reader.leases();
      const name = (await first.status()).leader;
      first.child.kill('SIGSTOP');
      await expectTakenOver(second, reader, before, leases);
      // A change that both of them see: the first one when it goes on, before it knows that its term is over.
      const late = 'cilium/state/identities/v1/id/199999';
      await appendFile(join(folder, 'manifests/objects.yaml'), identity);
      const taken = reader.written.length;
      first.child.kill('SIGCONT');
      const now = (await second.status()).leader;
      expect(now).not.toBe(name);
      await until(async () => (await first.status()).leader === now, pause);
      expect(await first.status()).toMatchObject({ leading: false });
      expect(toText((await opened.store.get(leader))?.value ?? new Uint8Array())).toContain(`"${now}"`);
      await until(() => reader.records.has(late), pause);
      expect(reader.written.slice(taken).filter((lease) => leases.has(lease))).toEqual([]);
      expect(reader.deleted).toEqual([]);
    });

    test('the one that is stopped hands over', async () => {
      const { first, second, reader } = await two(kind, '10s');
      const before = reader.lasting();
      const leases = reader.leases();
      first.child.kill('SIGTERM');
      await expectTakenOver(second, reader, before, leases);
    });
  });
