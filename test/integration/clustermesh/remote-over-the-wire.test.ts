import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { etcdRemoteStores } from '../../../agent/index.ts';
import {
  type PeerEvent,
  RemoteClusters,
  type RemoteClusterStatus,
  ServiceTable,
  createMeshView,
  ipKey,
  nodeKey,
} from '../../../clustermesh/index.ts';
import { EngineStore } from '../../../kvstore/index.ts';
import { systemClock as clock } from '../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../runtime/log/index.ts';
import { Random } from '../../../runtime/random/index.ts';
import { type ServedEngine, serveEngine } from '../../support/served-engine.ts';
import { TestAuthority } from '../../support/certificates.ts';
import { type TcpProxy, startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';
import { RemoteWriter } from '../../unit/clustermesh/remote/support.ts';

jest.setTimeout(120_000);

let served: ServedEngine;
let proxy: TcpProxy;
let writer: RemoteWriter;

const at = (port: number): string => `endpoints: ["http://127.0.0.1:${port}"]\n`;

/** An agent's side that reads `west` by a configuration. */
class Reader implements AsyncDisposable {
  readonly view = createMeshView({ ownCluster: 'east' });
  readonly services = new ServiceTable({ ownCluster: 'east' });
  readonly #clusters = new RemoteClusters(
    { own: { cluster: 'east', clusterId: 1 } },
    { openStore: etcdRemoteStores({ clock, log }), view: this.view, services: this.services, clock, log },
  );
  readonly #controller = new AbortController();
  readonly #running: Promise<void>;

  constructor(text: string) {
    const { signal } = this.#controller;
    async function* events(): AsyncGenerator<PeerEvent, void, void> {
      yield { type: 'add', config: { cluster: 'west', path: 'west', text, hash: '1' } };
      yield { type: 'listed' };
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    }
    this.#running = this.#clusters.run(events(), signal).catch(() => undefined);
  }

  status(): RemoteClusterStatus | undefined {
    return this.#clusters.statuses()[0];
  }

  async ready(): Promise<void> {
    await until(() => this.status()?.ready === true);
  }

  /** All that is known, as text. */
  known(): string[] {
    return [
      ...[...this.view.nodes()].map(
        (node) => `node ${node.name} ${node.podCidrs.map(({ address }) => address).join()}`,
      ),
      ...[...this.view.ips()].map((ip) => `ip ${ip.prefix.address} at ${ip.hostIp} is ${ip.identity}`),
      ...[...this.view.identities()].map(({ id }) => `identity ${id}`),
      ...[...this.services.offeredBy('west')].map(({ name, backends }) => `${name} ${Object.keys(backends).join()}`),
    ].toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort();
    await this.#running;
  }
}

async function freshlyRead(): Promise<string[]> {
  await using reader = new Reader(at(served.port));
  await reader.ready();
  return reader.known();
}

beforeAll(async () => {
  served = await serveEngine('embedded');
  proxy = await startTcpProxy({ host: '127.0.0.1', port: served.port });
  writer = new RemoteWriter(new EngineStore(served.engine, { clock, endpoint: 'engine' }));
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await served[Symbol.asyncDispose]();
});

test('a remote cluster over the wire loses nothing by cuts, and nothing by a lost lease', async () => {
  const random = new Random(5);
  const change = async (): Promise<void> => {
    const address = `10.2.1.${random.int(60)}`;
    if (random.chance(0.6)) await writer.ip(address, `192.168.2.${1 + random.int(2)}`);
    else await writer.store.delete(ipKey(address));
    if (random.chance(0.2))
      await writer.node(`n${random.int(5)}`, `192.168.2.${random.int(9) + 1}`, `10.2.${random.int(9)}.0/24`);
    if (random.chance(0.1)) await writer.store.delete(nodeKey('west', `n${random.int(5)}`));
  };
  writer.lease = (await served.engine.leaseGrant({ id: 0n, ttl: 3600 })).id;
  await writer.everything();
  await writer.heartbeat(clock.now());
  for (let i = 0; i < 100; i++) await change();
  await using reader = new Reader(at(proxy.port));
  await reader.ready();
  expect(reader.known()).toEqual(await freshlyRead());

  for (const fault of ['cut', 'reset', 'refuse', 'accept-then-close'] as const) {
    for (let i = 0; i < 20; i++) await change();
    if (fault === 'refuse' || fault === 'accept-then-close') await proxy.set(fault);
    proxy.cut({ reset: fault === 'reset' });
    for (let i = 0; i < 20; i++) await change();
    await proxy.set('pass');
    const wanted = await freshlyRead();
    await until(() => reader.status()?.ready === true && reader.known().join() === wanted.join());
    expect(reader.known()).toEqual(wanted);
  }

  const before = reader.known();
  await served.engine.leaseRevoke(writer.lease);
  await until(() => reader.status()?.['lease-lost'] !== undefined);
  expect(reader.known()).toEqual(before);
  expect(reader.status()).toMatchObject({ ready: false, stale: true, 'lease-lost': { withdrawn: false } });

  writer.lease = 0n;
  await writer.node('n9', '192.168.2.9', '10.2.9.0/24');
  await writer.everything();
  await writer.heartbeat(clock.now());
  await reader.ready();
  expect(reader.status()).not.toHaveProperty('lease-lost');
  expect(reader.known()).toEqual(await freshlyRead());
  expect(reader.known()).not.toEqual(before);
});

test('of a remote cluster that shows a certificate of somebody else’s the hint is of certificates, not of the network', async () => {
  const server = createServer(new TestAuthority('another').issue({ commonName: 'store' }), (socket) =>
    socket.on('error', () => undefined).end(),
  );
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-remote-'));
  try {
    const ca = join(folder, 'ca.crt');
    writeFileSync(ca, new TestAuthority('ours').cert);
    const { port } = server.address() as AddressInfo;
    await using reader = new Reader(`endpoints: ["https://127.0.0.1:${port}"]\ntrusted-ca-file: ${ca}\n`);
    await until(() => reader.status()?.failure?.includes('is not trusted') === true);
    expect(reader.status()?.hint).toBe('isthmus troubleshoot shows both certificates');
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await new Promise((resolve) => server.close(resolve));
  }
});
