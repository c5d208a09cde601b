import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { type InviteOptions, exchangeWith, invite, leavePeer } from '../../../../clustermesh/peers/enrolment/index.ts';
import { applyPeers, configFiles } from '../../../../clustermesh/peers/folder/index.ts';
import { createKey } from '../../../../clustermesh/peers/certificates/index.ts';
import { TestAuthority } from '../../../support/certificates.ts';
import { until } from '../../../support/until.ts';
import { startTcpProxy } from '../../../support/tcp-proxy.ts';
import { type TestCluster, filesIn, stateHash, testCluster } from '../../../support/peer-clusters.ts';
import {
  accept,
  areKnownToEachOther,
  clock,
  codeOf,
  east,
  enrol,
  good,
  hasty,
  hour,
  inviteWest,
  logged,
  root,
  signal,
  west,
  withTwoPeers,
} from './two-peers.ts';

withTwoPeers();

describe('two clusters', () => {
  test('become peers by an invitation, each with a certificate of the other', async () => {
    await accept(await inviteWest());
    for (const [own, other] of [
      [east, 'west'],
      [west, 'east'],
    ] as const) {
      const { config, key, cert, ca } = configFiles(own.folder.paths.configFolder, other);
      expect(readFileSync(config, 'utf8')).toContain(`https://${other}.example:2379`);
      const certificate = new X509Certificate(readFileSync(cert));
      expect(certificate.subject).toBe(`CN=remote-${own.folder.own.name}`);
      expect(certificate.checkIssued(new X509Certificate(readFileSync(ca)))).toBe(true);
      expect(readFileSync(key, 'utf8')).toContain('PRIVATE KEY');
      const issuedBy = own === east ? west : east;
      expect(readFileSync(issuedBy.folder.paths.usersFile, 'utf8')).toContain(certificate.fingerprint256);
    }
    expect(await east.folder.invitations()).toEqual([]);
  });

  test('become peers when authorities above that nobody is told of have signed theirs', async () => {
    const authorityFolder = join(root, 'issuer');
    const issuer = new TestAuthority('issuer of north', {
      parent: new TestAuthority('root'),
      notBeforeMs: clock.now(),
    });
    mkdirSync(authorityFolder);
    writeFileSync(join(authorityFolder, 'tls.crt'), issuer.cert);
    writeFileSync(join(authorityFolder, 'tls.key'), issuer.key);
    const north = await testCluster(root, { name: 'north', id: 3, authorityFolder }, clock);
    await using _north = north;
    const options = { name: 'west', id: 2, nowMs: clock.now(), validForMs: hour };
    await accept(await invite(north.folder, options));
    for (const [own, other] of [
      [north.folder, 'west'],
      [west.folder, 'north'],
    ] as const)
      await exchangeWith(own, other, { clock: hasty(), signal });
  });

  test('leave nothing behind on either side, however often they join and leave', async () => {
    const before = [east, west].map(({ folder }) => stateHash(folder.paths.root));
    for (let i = 0; i < 5; i++) {
      await accept(await inviteWest());
      expect([east, west].map(({ folder }) => stateHash(folder.paths.root))).not.toEqual(before);
      const by = i % 2 === 0 ? east : west;
      const name = i % 2 === 0 ? 'west' : 'east';
      expect(await leavePeer(by.folder, name, { dead: false, clock, signal })).toBe('both');
      expect([east, west].map(({ folder }) => stateHash(folder.paths.root))).toEqual(before);
    }
  });

  test('part also when one of them is dead, and nothing is left on our side', async () => {
    const before = stateHash(east.folder.paths.root);
    await accept(await inviteWest());
    await west[Symbol.asyncDispose]();
    expect(await codeOf(leavePeer(east.folder, 'west', { dead: false, clock, signal }))).toBe('PEER_UNREACHABLE');
    expect(await east.folder.peer('west')).toBeDefined();
    expect(await leavePeer(east.folder, 'west', { dead: true, clock, signal })).toBe('ours');
    expect(stateHash(east.folder.paths.root)).toBe(before);
  });

  test('renew what they show each other, and know each other’s next authority before it signs', async () => {
    await accept(await inviteWest());
    const shown = async (): Promise<string[]> =>
      await Promise.all(
        [
          [west, 'east'],
          [east, 'west'],
        ].map(
          async ([own, name]) => (await (own as TestCluster).folder.credentialsFor(name as string))?.certificate ?? '',
        ),
      );
    const first = await shown();
    await clock.advance(61 * 24 * hour);
    // One side asks; what the other one shows is due too, and comes along.
    await exchangeWith(west.folder, 'east', { clock: hasty(), signal });
    const second = await shown();
    for (const i of [0, 1]) expect(second[i]).not.toBe(first[i]);
    // What was shown before is still admitted: connections stand on it.
    expect((await east.folder.peer('west'))?.admitted).toHaveLength(2);
    expect(filesIn(west.folder.paths.pendingFolder)).toEqual([]);
    expect(filesIn(east.folder.paths.pendingFolder)).toEqual([]);
  });
});

test('what was written in half when we were killed is mended when the peer asks the next time', async () => {
  await accept(await inviteWest());
  writeFileSync(configFiles(east.folder.paths.configFolder, 'west').key, await createKey());
  await exchangeWith(west.folder, 'east', { clock: hasty(), signal });
  await areKnownToEachOther();
});

describe('an invitation', () => {
  test('works once', async () => {
    const bundle = await inviteWest();
    await accept(bundle);
    expect(await codeOf(enrol(bundle, await good(bundle)))).toBe('TOKEN_USED');
    await leavePeer(east.folder, 'west', { dead: true, clock, signal });
    expect(await codeOf(enrol(bundle, await good(bundle)))).toBe('TOKEN_REFUSED');
  });

  test('works again for the same key, when the first answer was lost', async () => {
    const bundle = await inviteWest();
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(bundle.enrolment).port) });
    const through = { ...bundle, enrolment: proxy.endpoint.replace('http:', 'https:') };
    // The handshake is some 1,700 bytes towards the client; the answer comes after it.
    proxy.cutAtByte(1900);
    const outcome = await codeOf(accept(through));
    expect(['PEER_UNREACHABLE', 'TLS_PEER']).toContain(outcome);
    await accept(through);
    expect(await west.folder.peer('east')).toBeDefined();
  });

  test('accepted again after a lost answer leaves both with what the other one knows', async () => {
    const bundle = await inviteWest();
    await accept(bundle);
    // As if the answer had never come: the other side has done everything, we nothing.
    const key = (await west.folder.credentialsFor('east'))?.privateKey ?? '';
    await west.folder.removePeer('east');
    await west.folder.putPendingKey('east', key);
    await accept(bundle);
    await areKnownToEachOther();
    expect(filesIn(west.folder.paths.pendingFolder)).toEqual([]);
  });

  test('accepted twice at once leaves both with what the other one knows, whoever hears of it last', async () => {
    const bundle = await inviteWest();
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(bundle.enrolment).port) });
    // What is asked has some 4,000 bytes, the handshake before it some hundred: the answer waits on its way.
    proxy.holdAfter(2000);
    const late = accept({ ...bundle, enrolment: proxy.endpoint.replace('http:', 'https:') });
    await until(async () => (await east.folder.peer('west')) !== undefined && !existsSync(east.folder.paths.lockFile));
    await accept(bundle);
    proxy.release();
    await late;
    await areKnownToEachOther();
    expect(filesIn(west.folder.paths.pendingFolder)).toEqual([]);
  });

  test('whose acceptance is under way is forgotten when the cluster is left', async () => {
    const bundle = await inviteWest();
    const before = stateHash(west.folder.paths.root);
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(bundle.enrolment).port) });
    proxy.holdAfter(2000);
    const late = codeOf(accept({ ...bundle, enrolment: proxy.endpoint.replace('http:', 'https:') }));
    await until(async () => (await east.folder.peer('west')) !== undefined);
    await west.folder.change(() => west.folder.removePeer('east'));
    proxy.release();
    expect(await late).toBe('PEER_LEFT');
    expect(stateHash(west.folder.paths.root)).toBe(before);
  });

  test('is not accepted in the place of a peer that was declared meanwhile', async () => {
    const bundle = await inviteWest();
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(bundle.enrolment).port) });
    proxy.holdAfter(2000);
    const late = codeOf(accept({ ...bundle, enrolment: proxy.endpoint.replace('http:', 'https:') }));
    await until(async () => (await east.folder.peer('west')) !== undefined);
    const other = { name: 'north', id: 1, endpoints: ['https://north.example:2379'], serverName: undefined };
    const declared = { ...other, allowedCidrs: undefined, authorities: new TestAuthority('north').cert };
    await applyPeers(west.folder, [declared], { file: 'x', nowMs: clock.now(), dryRun: false, prune: false });
    proxy.release();
    expect(await late).toBe('ID_TAKEN');
    expect((await west.folder.peers()).map(({ name }) => name)).toEqual(['north']);
  });

  test('is not accepted again by anybody once the peer has come with its certificate', async () => {
    const bundle = await inviteWest();
    await accept(bundle);
    const key = (await west.folder.credentialsFor('east'))?.privateKey ?? '';
    await exchangeWith(west.folder, 'east', { clock: hasty(), signal });
    await west.folder.removePeer('east');
    await west.folder.putPendingKey('east', key);
    expect(await codeOf(accept(bundle))).toBe('TOKEN_USED');
  });

  test.each([
    ['west', 'key'],
    ['west', 'cert'],
    ['west', 'config'],
    ['west', 'users'],
    ['east', 'key'],
    ['east', 'cert'],
    ['east', 'config'],
    ['east', 'users'],
  ] as const)('works again when %s got as far as its file of %s', async (name, file) => {
    const bundle = await inviteWest();
    const { paths } = (name === 'west' ? west : east).folder;
    const files = configFiles(paths.configFolder, name === 'west' ? 'east' : 'west');
    const path = file === 'users' ? paths.usersFile : files[file];
    rmSync(path, { force: true });
    mkdirSync(join(path, 'in-the-way'), { recursive: true });
    expect(await codeOf(accept(bundle))).not.toBe('none');
    rmSync(path, { recursive: true });
    await accept(bundle);
    await areKnownToEachOther();
    for (const { folder } of [east, west]) expect(filesIn(folder.paths.pendingFolder)).toEqual([]);
    expect(await east.folder.invitations()).toEqual([]);
  });

  test('expires', async () => {
    const bundle = await inviteWest();
    await clock.advance(hour);
    expect(await codeOf(accept(bundle))).toBe('TOKEN_EXPIRED');
    expect(await codeOf(enrol(bundle, await good(bundle)))).toBe('TOKEN_EXPIRED');
  });

  test('is taken back by the next one for the same cluster, but not by one that is refused', async () => {
    const first = await inviteWest();
    await expect(inviteWest({ id: 1 })).rejects.toMatchObject({ code: 'ID_IS_OURS' });
    expect(await east.folder.invitations()).toHaveLength(1);
    await inviteWest();
    expect(await codeOf(accept(first))).toBe('TOKEN_REFUSED');
    expect(filesIn(west.folder.paths.pendingFolder)).toEqual([]);
  });

  test.each([
    { what: 'another name', change: { cluster: { name: 'north' } }, code: 'NAME_DIFFERS' },
    { what: 'another id', change: { cluster: { id: 3 } }, code: 'NAME_DIFFERS' },
    { what: 'a mesh of another size', change: { cluster: { maxConnectedClusters: 511 } }, code: 'MESH_SIZE_DIFFERS' },
    { what: 'no authority', change: { cluster: { authorities: 'x' } }, code: 'PEER_DOCUMENT' },
    { what: 'a request that is none', change: { request: 'x' }, code: 'REQUEST_REFUSED' },
    { what: 'a certificate that is none', change: { certificate: 'x' }, code: 'CERTIFICATE_REFUSED' },
    { what: 'a certificate for another key', change: {}, code: 'CERTIFICATE_REFUSED' },
    { what: 'no token', change: { token: undefined }, code: 'PEER_DOCUMENT' },
    { what: 'another token', change: { token: 'A'.repeat(43) }, code: 'TOKEN_REFUSED' },
    { what: 'a name of a file', change: { invitation: '../peers/x' }, code: 'TOKEN_REFUSED' },
  ])('is not accepted with $what', async ({ change, code }) => {
    const bundle = await inviteWest();
    const body = await good(bundle);
    const cluster = { ...(body['cluster'] as object), ...('cluster' in change ? change.cluster : {}) };
    expect(await codeOf(enrol(bundle, { ...body, ...change, cluster }))).toBe(code);
    expect(await east.folder.peers()).toEqual([]);
    // Whoever was really invited can still come.
    await accept(bundle);
  });

  test('is withdrawn when somebody tries tokens, and addresses that try are slowed down', async () => {
    const bundle = await inviteWest();
    const wrong = await good(bundle, { token: 'A'.repeat(43) });
    const codes: string[] = [];
    for (let i = 0; i < 12; i++) codes.push(await codeOf(enrol(bundle, wrong)));
    expect(codes.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 'TOKEN_REFUSED'));
    expect(codes.slice(10)).toEqual(['TOO_MANY_ATTEMPTS', 'TOO_MANY_ATTEMPTS']);
    expect(await codeOf(accept(bundle))).toBe('TOO_MANY_ATTEMPTS');
    await clock.advance(60_000);
    expect(await codeOf(accept(bundle))).toBe('TOKEN_REFUSED');
  });

  test('stands in no log, and no file that is kept but that of a hash', async () => {
    const bundle = await inviteWest();
    await codeOf(enrol(bundle, { ...(await good(bundle)), request: 'x' }));
    await codeOf(enrol(bundle, { token: bundle.token, x: 1 }));
    await accept(bundle);
    await codeOf(enrol(bundle, await good(bundle)));
    expect(logged).toContain('A cluster was not let in');
    expect(logged).not.toContain(bundle.token);
    for (const file of filesIn(root)) expect(readFileSync(file, 'utf8')).not.toContain(bundle.token);
    for (const text of [logged]) expect(text).not.toContain('PRIVATE KEY');
  });

  test('is not sent to somebody in the middle', async () => {
    const bundle = await inviteWest();
    const mallory = new TestAuthority('mallory').issue({
      commonName: 'x',
      names: ['east.mesh.cilium.io', '127.0.0.1'],
    });
    let heard = '';
    const server = createServer({ cert: mallory.cert, key: mallory.key }, (request, response) => {
      request.on('data', (chunk: Buffer) => (heard += chunk.toString()));
      response.end('{}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const failure = accept({ ...bundle, enrolment: `https://127.0.0.1:${port}` });
      await expect(failure).rejects.toThrow(/not trusted; trusted: CN=Authority of east/);
      expect(heard).toBe('');
      expect(await west.folder.peers()).toEqual([]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test('is for one cluster: names and ids that are taken are refused, by name of the reason', async () => {
    const north = await testCluster(root, { name: 'north', id: 2 }, clock);
    await using _north = north;
    const asking = (options: Partial<InviteOptions>): Promise<string> => codeOf(inviteWest(options));
    expect(await asking({ name: 'east', id: 7 })).toBe('NAME_IS_OURS');
    expect(await asking({ name: 'north', id: 1 })).toBe('ID_IS_OURS');
    expect(await asking({ name: 'north', id: 256 })).toBe('ID_RANGE');
    const bundle = await inviteWest();
    expect(await asking({ name: 'north', id: 2 })).toBe('ID_TAKEN');
    expect(await codeOf(accept(bundle, north))).toBe('NAME_DIFFERS');
    await accept(bundle);
    expect(await asking({})).toBe('NAME_TAKEN');
    expect(await asking({ name: 'north', id: 2 })).toBe('ID_TAKEN');
    expect((await inviteWest({ name: 'south', id: undefined })).invited).toEqual({ name: 'south', id: 3 });
    // The one who accepts looks, too.
    const second = await testCluster(join(root, 'second'), { name: 'east', id: 9 }, clock);
    await using _second = second;
    const again = await invite(second.folder, { name: 'west', id: 2, nowMs: clock.now(), validForMs: hour });
    expect(await codeOf(accept(again))).toBe('NAME_TAKEN');
  });
});
