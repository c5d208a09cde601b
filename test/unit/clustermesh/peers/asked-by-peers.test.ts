import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import { describe, expect, test } from '@jest/globals';
import { askPeer, exchangeWith } from '../../../../clustermesh/peers/enrolment/index.ts';
import { configFiles } from '../../../../clustermesh/peers/folder/index.ts';
import { createKey, createRequest } from '../../../../clustermesh/peers/certificates/index.ts';
import { TestAuthority } from '../../../support/certificates.ts';
import { until } from '../../../support/until.ts';
import { requestOf, signForPeer } from '../../../../clustermesh/peers/enrolment/signing.ts';
import {
  accept,
  clock,
  codeOf,
  east,
  good,
  hasty,
  hour,
  inviteWest,
  logged,
  signal,
  west,
  withTwoPeers,
} from './two-peers.ts';

withTwoPeers();

describe('what peers ask', () => {
  test('and break off is no error of ours', async () => {
    const { host, port } = east.server.address;
    const socket = connect({ host, port, rejectUnauthorized: false });
    socket.on('error', () => undefined);
    await new Promise<void>((resolve) => socket.once('secureConnect', resolve));
    socket.write('POST /v1/enrol HTTP/1.1\r\nhost: east\r\ncontent-length: 100\r\n\r\n{', () => socket.destroy());
    await until(() => logged.includes('aborted') || logged.includes('broke off'));
    expect(logged).not.toMatch(/"level":"(warn|error)"/i);
  });

  test('is answered although the answers to a dozen before were lost', async () => {
    const bundle = await inviteWest();
    await accept(bundle);
    const { enrolment, authorities } = bundle;
    const credentials = await west.folder.credentialsFor('east');
    const ask = async (): Promise<unknown> => {
      const { name, id, maxConnectedClusters, endpoints } = west.folder.own;
      const ours = readFileSync(west.folder.paths.trustedFile, 'utf8');
      const cluster = { name, id, maxConnectedClusters, endpoints, authorities: ours };
      const request = await createRequest('remote-west', await createKey());
      return await askPeer(
        { cluster: 'east', enrolment, authorities, credentials },
        '/v1/exchange',
        { cluster, trusts: [], request },
        clock,
      );
    };
    for (let i = 0; i < 12; i++) expect(await ask()).toMatchObject({ certificate: expect.any(String) });
    expect((await east.folder.peer('west'))?.admitted).toHaveLength(8);
  });

  test('is content with a certificate that has come already, as where both ask each other at the same moment', async () => {
    const bundle = await inviteWest();
    await accept(bundle);
    await clock.advance(61 * 24 * hour);
    const { enrolment, authorities } = bundle;
    const credentials = await west.folder.credentialsFor('east');
    const { name, id, maxConnectedClusters, endpoints } = west.folder.own;
    const ours = readFileSync(west.folder.paths.trustedFile, 'utf8');
    const cluster = { name, id, maxConnectedClusters, endpoints, authorities: ours };
    const ask = (more: object): Promise<unknown> =>
      askPeer(
        { cluster: 'east', enrolment, authorities, credentials },
        '/v1/exchange',
        { cluster, trusts: [], ...more },
        clock,
      );
    const { request } = (await ask({})) as { readonly request: string };
    const sign = async (text: string): Promise<string> => {
      const { publicKey } = await requestOf('east', text);
      return (await signForPeer(west.folder, 'east', publicKey, clock.now())).certificate;
    };
    const certificate = await sign(request);
    await ask({ certificate });
    expect(await codeOf(ask({ certificate: await sign(request) }))).toBe('none');
    expect((await east.folder.credentialsFor('west'))?.certificate).toBe(certificate);
    const other = await sign(await createRequest('remote-east', await createKey()));
    for (const wrong of [other, 'no certificate'])
      expect(await codeOf(ask({ certificate: wrong }))).toBe('CERTIFICATE_REFUSED');
  });

  test('is refused to a cluster that has come to count its mesh otherwise', async () => {
    const bundle = await inviteWest();
    await accept(bundle);
    const { enrolment, authorities } = bundle;
    const credentials = await west.folder.credentialsFor('east');
    const { name, id, endpoints } = west.folder.own;
    const ours = readFileSync(west.folder.paths.trustedFile, 'utf8');
    const cluster = { name, id, maxConnectedClusters: 511, endpoints, authorities: ours };
    const asked = askPeer(
      { cluster: 'east', enrolment, authorities, credentials },
      '/v1/exchange',
      { cluster, trusts: [] },
      clock,
    );
    expect(await codeOf(asked)).toBe('MESH_SIZE_DIFFERS');
    expect((await east.folder.peer('west'))?.maxConnectedClusters).toBe(255);
  });

  test('is bounded: one that wants another certificate with every answer keeps the first and the last of them', async () => {
    await accept(await inviteWest());
    const [first] = (await east.folder.peer('west'))?.admitted ?? [];
    const { certFile, keyFile } = west.folder.paths.certificate('server');
    const { name, id, maxConnectedClusters, endpoints } = west.folder.own;
    const authorities = readFileSync(west.folder.paths.trustedFile, 'utf8');
    const request = await createRequest('remote-west', await createKey());
    const server = createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, (asked, response) => {
      const enrolment = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const cluster = { name, id, maxConnectedClusters, endpoints, enrolment, authorities };
      asked.resume().on('end', () => response.end(JSON.stringify({ cluster, request })));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const record = await east.folder.peer('west');
      if (!record) throw new Error('There is no peer');
      const enrolment = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
      await east.folder.change(() => east.folder.putPeer({ ...record, enrolment }));
      for (let i = 0; i < 10; i++) await exchangeWith(east.folder, 'west', { clock: hasty(), signal });
    } finally {
      server.closeAllConnections();
      server.close();
    }
    const { admitted = [] } = (await east.folder.peer('west')) ?? {};
    expect(admitted).toHaveLength(32);
    // What it comes with may be the one that it had before all these.
    expect(admitted[0]).toEqual(first);
  });

  test('is refused to everybody else', async () => {
    const bundle = await inviteWest();
    await accept(bundle);
    const target = { cluster: 'east', enrolment: bundle.enrolment, authorities: bundle.authorities };
    const west2 = new TestAuthority('mallory').issue({ commonName: 'remote-west', names: [] });
    const credentials = { certificate: west2.cert, privateKey: west2.key };
    const { certificate: server } = { certificate: east.folder.paths.certificate('local') };
    const local = {
      certificate: readFileSync(server.certFile, 'utf8'),
      privateKey: readFileSync(server.keyFile, 'utf8'),
    };
    for (const shown of [undefined, credentials, local])
      for (const route of ['/v1/leave', '/v1/exchange']) {
        const body = route === '/v1/leave' ? {} : { cluster: (await good(bundle))['cluster'] };
        expect(await codeOf(askPeer({ ...target, credentials: shown }, route, body, clock))).toBe('NOT_A_PEER');
      }
    expect(await codeOf(askPeer(target, '/v1/other', {}, clock))).toBe('BAD_REQUEST');
    expect(await codeOf(askPeer(target, '/v1/enrol', { x: 'y'.repeat(70_000) }, clock))).toMatch(
      /BAD_REQUEST|UNREACHABLE/,
    );
    expect(await east.folder.peer('west')).toBeDefined();
    expect(existsSync(configFiles(east.folder.paths.configFolder, 'west').config)).toBe(true);
  });
});
