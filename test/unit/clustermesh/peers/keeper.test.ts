import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { acceptInvitation, invite } from '../../../../clustermesh/peers/enrolment/index.ts';
import { admitCilium } from '../../../../clustermesh/peers/cilium/index.ts';
import { CertificateKeeper } from '../../../../clustermesh/peers/keeper/index.ts';
import { type Clock, VirtualClock } from '../../../../runtime/clock/index.ts';
import { createLogger, silentLogger } from '../../../../runtime/log/index.ts';
import { createMetrics } from '../../../../runtime/metrics/index.ts';
import { until } from '../../../support/until.ts';
import { type TestCluster, testCluster } from '../../../support/peer-clusters.ts';

const hour = 3_600_000;
const day = 24 * hour;
const { signal } = new AbortController();
let root: string;
let virtual: VirtualClock;
let clock: Clock;
let east: TestCluster;
let west: TestCluster;
/** TLS asks the clock of the machine: everything is made so long ago that it is valid until now and beyond. */
const agoMs = 61 * day;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'isthmus-keeper-'));
  virtual = new VirtualClock(Date.now() - agoMs);
  clock = {
    now: () => virtual.now(),
    monotonicMs: () => virtual.monotonicMs(),
    timer: (ms, run) => virtual.timer(ms, run),
    sleep: () => Promise.resolve(),
  };
  east = await testCluster(root, { name: 'east', id: 1 }, virtual);
  west = await testCluster(root, { name: 'west', id: 2 }, virtual);
  const bundle = await invite(east.folder, { name: 'west', id: 2, nowMs: virtual.now(), validForMs: hour });
  await acceptInvitation(west.folder, bundle, { clock: virtual, signal });
});
afterEach(async () => {
  await east[Symbol.asyncDispose]();
  await west[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

const keeperOf = (
  { folder }: TestCluster,
  log = silentLogger,
): { readonly keeper: CertificateKeeper; readonly metric: () => Promise<Map<string, number>> } => {
  const metrics = createMetrics({ prefix: 'isthmus_' });
  const metric = async (): Promise<Map<string, number>> =>
    new Map(
      [
        ...(await metrics.text()).matchAll(
          /^isthmus_certificate_not_after_timestamp_seconds\{certificate="(.*)"\} (.*)$/gm,
        ),
      ].map(([, name = '', value]) => [name, Number(value)] as const),
    );
  return { keeper: new CertificateKeeper({ folder, clock, log, metrics }), metric };
};

describe('the keeper of certificates', () => {
  test('renews in time what is shown to a peer, and says when everything expires', async () => {
    const { keeper, metric } = keeperOf(west);
    await keeper.look(signal);
    const before = await metric();
    expect([...before.keys()].toSorted()).toEqual(['admin', 'authority', 'local', 'peer/east', 'remote', 'server']);
    await virtual.advance(agoMs);
    await keeper.look(signal);
    const after = await metric();
    for (const name of ['server', 'peer/east'])
      expect((after.get(name) ?? 0) - (before.get(name) ?? 0)).toBeGreaterThan((50 * day) / 1000);
    expect(after.get('authority')).toBe(before.get('authority'));
  });

  test('says when what a Cilium cluster was given expires, which asks for no other', async () => {
    await west.folder.removePeer('east');
    await admitCilium(west.folder, { name: 'north', id: 3, nowMs: virtual.now() });
    let said = '';
    const log = createLogger(
      { level: 'error', format: 'json', clock: virtual, write: (text) => void (said += text) },
      {},
    );
    const { keeper, metric } = keeperOf(west, log);
    await keeper.look(signal);
    expect((await metric()).get('given/north')).toBeCloseTo(virtual.now() / 1000 + 1095 * 86_400, -1);
    await virtual.advance(950 * day);
    await keeper.look(signal);
    expect(said).toContain('isthmus peer invite north --for cilium');
    // It stays in sight when it is worth nothing any more.
    await virtual.advance(200 * day);
    await keeper.look(signal);
    expect((await metric()).get('given/north')).toBeLessThan(virtual.now() / 1000);
    expect((await west.folder.peer('north'))?.admitted).toHaveLength(1);
  });

  test('does not wait with the others for one that does not answer', async () => {
    await using south = await testCluster(root, { name: 'south', id: 3 }, virtual);
    const bundle = await invite(south.folder, { name: 'west', id: 2, nowMs: virtual.now(), validForMs: hour });
    await acceptInvitation(west.folder, bundle, { clock: virtual, signal });
    const sockets: Socket[] = [];
    const silent = createServer((socket) => void sockets.push(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const record = await west.folder.peer('east');
    if (!record) throw new Error('They are no peers');
    await west.folder.putPeer({ ...record, enrolment: `https://127.0.0.1:${port}` });
    await virtual.advance(agoMs);
    const before = (await west.folder.credentialsFor('south'))?.certificate;
    const ending = new AbortController();
    const looking = keeperOf(west).keeper.look(ending.signal);
    looking.catch(() => undefined);
    // Whoever waits for the folder does so by that clock.
    await until(
      async () => (await west.folder.credentialsFor('south'))?.certificate !== before,
      () => virtual.advance(1),
    );
    expect(sockets).not.toHaveLength(0);
    ending.abort(new DOMException('over', 'AbortError'));
    await expect(looking).rejects.toThrow('over');
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
  });

  test('goes on with the rest when a peer cannot be asked, asks again later, and says why', async () => {
    const { keeper, metric } = keeperOf(west);
    await keeper.look(signal);
    await east[Symbol.asyncDispose]();
    await virtual.advance(agoMs);
    await keeper.look(signal);
    expect(keeper.troubles.get('east')).toMatchObject({
      failures: 1,
      reason: expect.stringContaining('east cannot be reached'),
    });
    expect((await metric()).get('server')).toBeGreaterThan(virtual.now() / 1000 + 80 * 86_400);
    await keeper.look(signal);
    expect(keeper.troubles.get('east')?.failures).toBe(1);
    await virtual.advance(31_000);
    await keeper.look(signal);
    expect(keeper.troubles.get('east')?.failures).toBe(2);
  });

  test('brings a new authority to everybody before it signs, however often it is killed in between', async () => {
    const state = (await east.folder.authority.read())!;
    await east.folder.authority.writeNotes({ ...state.notes, rotationWanted: true });
    const trusted = (): string => readFileSync(east.folder.paths.trustedFile, 'utf8');
    const first = trusted();
    // Each look is the life of another process.
    await keeperOf(east).keeper.look(signal);
    await keeperOf(east).keeper.look(signal);
    const both = trusted();
    expect(both).toContain(first);
    expect((await west.folder.peer('east'))?.authorities).toBe(both);
    expect((await east.folder.authority.read())?.current.certificate).toBe(first);
    await virtual.advance(2 * day);
    await keeperOf(east).keeper.look(signal);
    const now = await east.folder.authority.read();
    expect(both).toBe(`${first}${now?.current.certificate}`);
    expect(now?.previous).toEqual([first]);
    // West, whose certificate the old one has signed, still gets in, and gets one of the new authority.
    await virtual.advance(7 * hour);
    await keeperOf(west).keeper.look(signal);
    const { certificate = '' } = (await west.folder.credentialsFor('east')) ?? {};
    const { X509Certificate } = await import('node:crypto');
    expect(new X509Certificate(certificate).checkIssued(new X509Certificate(now?.current.certificate ?? ''))).toBe(
      true,
    );
    expect(keeperOf(west).keeper.troubles.size).toBe(0);
  });
});
