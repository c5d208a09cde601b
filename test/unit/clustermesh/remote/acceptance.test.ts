import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { PeerConfig, RemoteCluster } from '../../../../clustermesh/index.ts';
import { parsePrefix } from '../../../../values/ip/index.ts';
import { type RemoteWriter, Side, config, settle, until } from './support.ts';

const allowing = (...cidrs: string[]): PeerConfig => ({
  ...config(),
  policy: { path: 'west.isthmus.yaml', text: `allowedCIDRs: [${cidrs.join(', ')}]\n` },
});

describe('a remote cluster that claims what it may not', () => {
  let side: Side;
  let writer: RemoteWriter;
  let remote: RemoteCluster;
  let stop: () => Promise<void>;

  const follow = (peer: PeerConfig): void => {
    const controller = new AbortController();
    const running = remote.run(peer, controller.signal).catch(() => undefined);
    stop = async () => {
      controller.abort();
      await running;
    };
  };
  const ready = async (): Promise<void> => await until(() => remote.status().ready, 'ready');
  const refused = (): string[] =>
    remote
      .status()
      .refused.keys.map(({ kind, key, code }) => `${kind} ${key}: ${code}`)
      .toSorted();

  /** Nodes, addresses, identities and services, as the status has them. */
  const counts = (): number[] => {
    const status = remote.status();
    return [status['num-nodes'], status['num-endpoints'], status['num-identities'], status['num-shared-services']];
  };

  beforeEach(async () => {
    side = new Side();
    side.ownSpace.set('node/e1', { blocks: [parsePrefix('10.1.1.0/24')], hosts: ['192.168.1.1'] });
    side.ownSpace.set('service/shop/web', { blocks: [parsePrefix('10.96.0.7/32')] });
    writer = side.writer();
    await writer.everything();
    remote = side.remote();
  });
  afterEach(async () => await stop());

  test('has exactly that refused, named and counted by reason', async () => {
    const before = (await freshReading()).known();
    await writer.ip('10.1.1.5', '192.168.2.1');
    await writer.ip('10.96.0.7', '192.168.2.1');
    await writer.ip('192.168.1.1', '192.168.2.1', 6);
    await writer.ip('127.0.0.5', '192.168.2.1');
    await writer.ip('169.254.0.5', '192.168.2.1');
    await writer.ip('fe80::5', '192.168.2.1');
    await writer.ip('10.2.1.9', '192.168.1.1');
    await writer.ip('10.2.1.10', '192.168.2.1', 3 * 65_536 + 1);
    // A default route, as a block: its key is that of a prefix.
    await writer.put(
      'cilium/state/ip/v1/default/0.0.0.0/0',
      '{"IP":"0.0.0.0","Mask":"AAAAAA==","HostIP":"192.168.2.1","ID":2,"Key":0,"Metadata":""}',
    );
    await writer.node('thief', '192.168.2.9', '10.1.0.0/16');
    await writer.node('twin', '192.168.1.1', '10.2.9.0/24');
    await writer.service('thief', { '10.1.1.5': 80 });
    follow(config());
    await ready();
    expect(side.known()).toEqual(before);
    expect(refused()).toEqual([
      'ip 0.0.0.0/0: special-address',
      'ip 10.1.1.5: own-address',
      'ip 10.2.1.10: foreign-identity',
      'ip 10.2.1.9: own-host',
      'ip 10.96.0.7: own-address',
      'ip 127.0.0.5: special-address',
      'ip 169.254.0.5: special-address',
      'ip 192.168.1.1: own-address',
      'ip fe80::5: special-address',
      'nodes thief: own-address',
      'nodes twin: own-host',
      'services shop/thief: own-address',
    ]);
    // What is counted is what is in use, as of one that claims nothing of the kind.
    expect(counts()).toEqual([2, 2, 1, 1]);
    expect(remote.status().refused).toMatchObject({
      total: 12,
      reasons: { 'foreign-identity': 1, 'own-address': 5, 'own-host': 2, 'special-address': 4 },
    });
    expect(remote.status().refused.keys.find(({ key }) => key === '10.1.1.5')?.reason).toBe(
      'IP must be outside the addresses of the own cluster, found 10.1.1.5/32',
    );
  });

  test('is no host, world or block of addresses by the labels of an identity', async () => {
    const own = 'k8s:io.cilium.k8s.policy.cluster=west;';
    const special = ['reserved:host=', 'reserved:world=', '$kube-apiserver', 'reserved.health', 'cidr:0.0.0.0/0='];
    special.push('cidrgroup:io.cilium.policy.cidrgroupname/all=', 'fqdn:example.com=', 'node:role=control-plane');
    for (const [i, label] of special.entries())
      await writer.put(`cilium/state/identities/v1/id/${131_080 + i}`, `${label};${own}`);
    await writer.put('cilium/state/identities/v1/id/131090', `${own}k8s:reserved=host;unspec:world=;`);
    follow(config());
    await ready();
    expect(refused()).toEqual(special.map((_, i) => `identities ${131_080 + i}: special-identity`));
    expect(remote.status().refused.reasons).toEqual({ 'special-identity': special.length });
    expect(remote.status().refused.keys[0]?.reason).toContain('reserved:host');
    expect(side.known().filter((line) => line.startsWith('identity'))).toEqual(['identity 131073', 'identity 131090']);
    // One that becomes such keeps its last good meaning.
    await writer.put('cilium/state/identities/v1/id/131073', `reserved:host=;${own}`);
    await until(() => remote.status().refused.total === special.length + 1, 'it is refused');
    expect(side.view.identity(131_073)?.labels.map(({ source }) => source)).toEqual(['k8s']);
  });

  test('has one key for each number: what has a leading zero is no other spelling of it', async () => {
    await writer.put('cilium/state/identities/v1/id/0131073', 'k8s:app=other;k8s:io.cilium.k8s.policy.cluster=west;');
    follow(config());
    await ready();
    expect(refused()).toEqual(['identities 0131073: malformed']);
    const meaning = side.view.identity(131_073);
    expect(JSON.stringify(meaning)).not.toContain('other');
    await writer.store.delete('cilium/state/identities/v1/id/0131073');
    await until(() => refused().length === 0, 'it is gone');
    expect(side.view.identity(131_073)).toEqual(meaning);
  });

  test('may stand in the network of its own nodes, and of ours, as real clusters do', async () => {
    side.ownSpace.set('configured', { blocks: [], networks: [parsePrefix('192.168.0.0/16')] });
    await writer.node('w3', '192.168.1.77', '10.2.3.0/24');
    await writer.ip('10.2.3.5', '192.168.1.77');
    follow(config());
    await ready();
    expect(side.known()).toContain('ip 10.2.3.5 at 192.168.1.77 is 131073');
    expect(remote.status().refused.total).toBe(0);
  });

  test('keeps the version that was accepted before', async () => {
    follow(config());
    await ready();
    const before = side.known();
    await writer.ip('10.2.1.5', '192.168.1.1');
    await writer.node('w1', '192.168.2.1', '10.2.1.0/24', '10.1.1.0/24');
    await until(() => remote.status().refused.total === 2, 'two refusals');
    expect(side.known()).toEqual(before);
    expect(counts()).toEqual([2, 2, 1, 1]);
    await writer.store.delete('cilium/state/ip/v1/default/10.2.1.5');
    await until(() => !refused().join().includes('10.2.1.5'), 'the refused key has gone');
    expect(side.known().join()).not.toContain('ip 10.2.1.5');
    expect(counts()).toEqual([2, 1, 1, 1]);
  });

  test('gets back what was refused when it is no longer ours, and loses what has become ours', async () => {
    await writer.ip('10.1.1.5', '192.168.2.1');
    await writer.ip('10.1.2.5', '192.168.2.2');
    follow(config());
    await ready();
    expect(side.known()).toContain('ip 10.1.2.5 at 192.168.2.2 is 131073');
    const failures = remote.status()['num-failures'];

    side.ownSpace.set('node/e2', { blocks: [parsePrefix('10.1.2.0/24')], hosts: ['192.168.1.2'] });
    await until(() => refused().join() === 'ip 10.1.1.5: own-address,ip 10.1.2.5: own-address', 'refused');
    expect(side.known().join()).not.toContain('ip 10.1.');

    side.ownSpace.remove('node/e1');
    await until(() => side.known().includes('ip 10.1.1.5 at 192.168.2.1 is 131073'), 'accepted');
    await until(() => remote.status().ready, 'ready again');
    expect(refused()).toEqual(['ip 10.1.2.5: own-address']);
    await writer.store.delete('cilium/state/ip/v1/default/10.1.2.5');
    await until(() => refused().length === 0, 'nothing refused');
    expect(remote.status()['num-failures']).toBe(failures);
    expect(side.known()).toEqual((await freshReading()).known());
  });

  test('is held to its allowedCIDRs, and looked at again when they change', async () => {
    await writer.ip('10.7.0.5', '192.168.2.1');
    follow(allowing('10.2.0.0/16'));
    await ready();
    expect(refused()).toEqual(['ip 10.7.0.5: not-allowed']);
    await stop();

    follow(allowing('10.2.0.0/16', '10.7.0.0/16'));
    await until(() => remote.status().ready && refused().length === 0, 'all accepted');
    expect(side.known()).toContain('ip 10.7.0.5 at 192.168.2.1 is 131073');
    await stop();

    follow(allowing('10.2.1.0/24', '10.7.0.0/16'));
    await until(() => remote.status().ready && refused().length > 0, 'less accepted');
    expect(refused()).toEqual(['ip 10.2.2.5: not-allowed', 'nodes w2: not-allowed']);
    expect(side.known().join()).not.toContain('10.2.2.5');
    expect(counts()).toEqual([1, 2, 1, 1]);
  });

  test('is not read while its policy cannot be read, and keeps what it told', async () => {
    follow(config());
    await ready();
    const before = side.known();
    await stop();
    await writer.ip('10.2.1.77', '192.168.2.1');
    for (const text of [
      '',
      'allowedCIDRs: 10.2.0.0/16',
      'allowedCIDRs: [10.2.0.1/16]',
      'allowedCIDR: []',
      'clusterID: two',
      '[',
      'x',
    ]) {
      follow({ ...config(), policy: { path: 'west.isthmus.yaml', text } });
      const failures = remote.status()['num-failures'];
      await until(() => remote.status()['num-failures'] > failures, 'a failure');
      expect(remote.status().failure).toMatch(/^west\.isthmus\.yaml: /);
      expect(remote.status().hint).toBe('Correct the file; what was learned before stays in use');
      await stop();
    }
    expect(side.known()).toEqual(before);
    follow(config());
  });

  test('is not read under another id than it was let in with, and keeps what it told', async () => {
    const bound = (id: number): PeerConfig => ({
      ...config(),
      policy: { path: 'west.isthmus.yaml', text: `clusterID: ${id}\n` },
    });
    follow(bound(2));
    await ready();
    const before = side.known();
    await stop();
    follow(bound(3));
    await until(() => remote.status().failure !== undefined, 'a failure');
    expect(remote.status()).toMatchObject({
      ready: false,
      failure: 'It was let in as cluster 3, and calls itself 2',
      hint: 'A cluster that changes its id leaves and joins again; what was learned before stays in use',
    });
    expect(side.known()).toEqual(before);
  });

  test('that is refused more often than is named names a hundred and counts all', async () => {
    for (let i = 0; i < 300; i++) await writer.ip(`10.1.1.${i % 256}`, `192.168.2.${Math.floor(i / 256)}`);
    follow(config());
    await ready();
    await settle();
    expect(remote.status().refused.keys).toHaveLength(100);
    expect(remote.status().refused.reasons).toEqual({ 'own-address': 256 });
  });

  async function freshReading(): Promise<Side> {
    const fresh = new Side();
    fresh.engines.set('west', side.engine());
    const other = fresh.remote();
    const controller = new AbortController();
    const running = other.run(config(), controller.signal).catch(() => undefined);
    await until(() => other.status().ready, 'fresh reading');
    controller.abort();
    await running;
    return fresh;
  }
});
