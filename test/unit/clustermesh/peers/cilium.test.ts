import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import {
  addCilium,
  admitCilium,
  ciliumHelmValues,
  ciliumSecret,
  endpointsBeyondHelm,
  readCilium,
} from '../../../../clustermesh/peers/cilium/index.ts';
import { peerOf } from '../../../../clustermesh/peers/enrolment/exchange.ts';
import { PeerFolder, configFiles } from '../../../../clustermesh/peers/folder/index.ts';
import { renewOwn, renewalFacts, renewalSteps } from '../../../../clustermesh/peers/renewal/index.ts';
import { parseEtcdConfig } from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { TestAuthority } from '../../../support/certificates.ts';

const day = 86_400_000;
const cilium = new TestAuthority('Cilium CA');
const shown = cilium.issue({ commonName: 'remote', names: [] });
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const config = (credentials: string): string =>
  `endpoints:\n- https://north.mesh.cilium.io:2379\ntrusted-ca-file: /var/lib/cilium/clustermesh/${credentials}-ca.crt\nkey-file: /var/lib/cilium/clustermesh/${credentials}.key\ncert-file: /var/lib/cilium/clustermesh/${credentials}.crt\n`;
const secret = (credentials: string, more: object = {}): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'cilium-clustermesh' },
    data: {
      north: base64(config(credentials)),
      [`${credentials}-ca.crt`]: base64(cilium.cert),
      [`${credentials}.key`]: base64(shown.key),
      [`${credentials}.crt`]: base64(shown.cert),
      ...more,
    },
  });
/** Where a cluster has no credentials of its own, its Secret names those of another one. */
const withoutCredentials = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'cilium-kvstoremesh' },
  data: { north: base64(config('common-etcd-client')) },
};
const remoteCertificate = {
  apiVersion: 'v1',
  kind: 'Secret',
  type: 'kubernetes.io/tls',
  metadata: { name: 'clustermesh-apiserver-remote-cert' },
  data: { 'ca.crt': base64(cilium.cert), 'tls.crt': base64(shown.cert), 'tls.key': base64(shown.key) },
};
const helmOf = (clusters: unknown, domain = 'mesh.cilium.io'): string =>
  stringify({
    clustermesh: { useAPIServer: true, config: { enabled: true, domain, clusters } },
    cluster: { name: 'x' },
  });
const helm = (cluster: object): string => helmOf([{ name: 'north', port: 32_379, ...cluster }]);
const tls = { cert: base64(shown.cert), key: base64(shown.key), caCert: base64(cilium.cert) };

let root: string;
let folder: PeerFolder;
const clock = new VirtualClock(Date.now());
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'isthmus-cilium-'));
  folder = await PeerFolder.create(
    root,
    {
      name: 'east',
      id: 1,
      maxConnectedClusters: 255,
      endpoints: ['https://172.18.0.5:32379'],
      enrolment: undefined,
      extraNames: [],
      namespace: 'kube-system',
      certificateLifetimeMs: 30 * day,
      authorityLifetimeMs: 4000 * day,
      authorityFolder: undefined,
    },
    clock,
  );
  await renewOwn(folder, { clock, log: silentLogger });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('what a Cilium cluster hands out', () => {
  test.each([
    {
      form: 'a Secret with credentials of the cluster',
      text: secret('north.etcd-client'),
      endpoint: 'https://north.mesh.cilium.io:2379',
    },
    {
      form: 'a Secret with common credentials',
      text: secret('common-etcd-client'),
      endpoint: 'https://north.mesh.cilium.io:2379',
    },
    {
      form: 'a list of Secrets, the remote certificate among them',
      text: stringify({ apiVersion: 'v1', kind: 'List', items: [withoutCredentials, remoteCertificate] }),
      endpoint: 'https://north.mesh.cilium.io:2379',
    },
    {
      form: 'two documents, the remote certificate first',
      text: `${stringify(remoteCertificate)}---\n${stringify(withoutCredentials)}`,
      endpoint: 'https://north.mesh.cilium.io:2379',
    },
    {
      form: 'Helm values with an address',
      text: helm({ address: 'north.example', tls }),
      endpoint: 'https://north.example:32379',
    },
    {
      form: 'Helm values with addresses, and the name of the server',
      text: helm({ ips: ['172.18.255.201', 'fd00::1'], tls }),
      endpoint: 'https://172.18.255.201:32379',
      serverName: 'north.mesh.cilium.io',
    },
    {
      form: 'Helm values that name clusters by members, as of Cilium 1.19, one of them disconnected',
      text: helmOf({
        south: { enabled: false, port: 1 },
        north: { enabled: true, address: 'north.example', port: 32_379, tls },
      }),
      endpoint: 'https://north.example:32379',
    },
    {
      form: 'Helm values with a domain of their own',
      text: helmOf([{ name: 'north', ips: ['172.18.255.201'], port: 32_379, tls }], 'mesh.example'),
      endpoint: 'https://172.18.255.201:32379',
      serverName: 'north.mesh.example',
    },
  ])('is read from $form', ({ text, endpoint, serverName }) => {
    const remote = readCilium(text, 'north.yaml', undefined);
    expect(remote).toMatchObject({
      name: 'north',
      authorities: cilium.cert,
      certificate: shown.cert,
      privateKey: shown.key,
    });
    expect(remote.endpoints[0]).toBe(endpoint);
    expect(remote.serverName).toBe(serverName);
  });

  test.each([
    { what: 'nothing of the kind', text: 'a: 1', says: "expected a Secret of Cilium's" },
    { what: 'no YAML', text: 'a: [', says: 'expected YAML' },
    {
      what: 'several clusters',
      text: secret('north.etcd-client', { south: base64(config('north.etcd-client')) }),
      says: 'one cluster, chosen of those that stand there (north, south)',
    },
    {
      what: 'a file that is missing',
      text: secret('north.etcd-client').replace('north.etcd-client.crt', 'other.crt'),
      says: 'north.cert-file: expected a file of this Secret: there is no north.etcd-client.crt',
    },
    {
      what: 'the credentials of another Secret',
      text: stringify(withoutCredentials),
      says: 'no common-etcd-client-ca.crt (the Secret clustermesh-apiserver-remote-cert beside it has it)',
    },
    {
      what: 'a key of another certificate',
      text: helm({ address: 'n', tls: { ...tls, key: base64(cilium.key) } }),
      says: 'north.key-file: expected the private key of the certificate',
    },
    {
      what: 'no certificate',
      text: helm({ address: 'n', tls: { ...tls, cert: 'eA==' } }),
      says: 'north.cert-file: expected a certificate',
    },
    {
      what: 'a name that is none',
      text: helmOf({ North: { address: 'n', tls } }),
      says: 'clusters: expected names of',
    },
    { what: 'no address', text: helm({ tls }), says: 'clustermesh.config.clusters[0].address' },
  ])('is refused with $what, and no key is repeated', ({ text, says }) => {
    expect(() => readCilium(text, 'north.yaml', undefined)).toThrow(says);
    try {
      readCilium(text, 'north.yaml', undefined);
    } catch (error) {
      expect(String(error)).not.toContain(base64(shown.key).slice(60, 90));
    }
  });

  test('is followed by agents as any other peer', async () => {
    await addCilium(folder, readCilium(helm({ ips: ['172.18.255.201'], tls }), 'north.yaml', 'north'), {
      id: 3,
      nowMs: clock.now(),
    });
    const files = configFiles(folder.paths.configFolder, 'north');
    expect(parseEtcdConfig(readFileSync(files.config, 'utf8'), 'north')).toEqual({
      endpoints: ['https://172.18.255.201:32379'],
      tls: { trustedCaFile: files.ca, certFile: files.cert, keyFile: files.key, serverName: 'north.mesh.cilium.io' },
      ignored: [],
    });
    expect(readFileSync(files.cert, 'utf8')).toBe(shown.cert);
  });
});

describe('what a Cilium cluster is given', () => {
  test('is a Secret that reads as its own do, with a certificate that is let in', async () => {
    const remote = await admitCilium(folder, { name: 'north', id: 3, nowMs: clock.now() });
    const text = ciliumSecret(remote, 'cilium-kvstoremesh', 'kube-system');
    expect(parse(text)).toMatchObject({
      kind: 'Secret',
      metadata: { name: 'cilium-kvstoremesh', namespace: 'kube-system' },
    });
    for (const form of [text, ciliumHelmValues(remote)]) {
      const read = readCilium(form, 'east.yaml', undefined);
      expect(read).toMatchObject({
        name: 'east',
        endpoints: ['https://172.18.0.5:32379'],
        certificate: remote.certificate,
      });
    }
    const certificate = new X509Certificate(remote.certificate);
    expect(certificate.subject).toBe('CN=remote-north');
    expect(Date.parse(certificate.validTo)).toBeGreaterThan(clock.now() + 1000 * day);
    expect(readFileSync(folder.paths.usersFile, 'utf8')).toContain(certificate.fingerprint256);
    // Nobody has told how it is reached.
    expect(existsSync(configFiles(folder.paths.configFolder, 'north').config)).toBe(false);
  });

  test.each([
    {
      endpoints: ['https://192.0.2.1:2379', 'https://192.0.2.2:2379', 'https://[2001:db8::1]:2379'],
      says: { port: 2379, ips: ['192.0.2.1', '192.0.2.2', '2001:db8::1'] },
      leaves: [],
    },
    {
      // Cilium calls every address by the one port, and no name where there are addresses.
      endpoints: ['https://east.example', 'https://192.0.2.1:2379'],
      says: { port: 443, address: 'east.example' },
      leaves: ['https://192.0.2.1:2379'],
    },
    {
      endpoints: ['https://192.0.2.1:32379', 'https://east.example:32379', 'https://192.0.2.2:2379'],
      says: { port: 32_379, ips: ['192.0.2.1'] },
      leaves: ['https://east.example:32379', 'https://192.0.2.2:2379'],
    },
  ])(
    'as Helm values, which know one port, has only endpoints of it: $endpoints',
    async ({ endpoints, says, leaves }) => {
      const remote = { ...(await admitCilium(folder, { name: 'north', id: 3, nowMs: clock.now() })), endpoints };
      const { clusters } = (parse(ciliumHelmValues(remote)) as { clustermesh: { config: { clusters: object[] } } })
        .clustermesh.config;
      expect(clusters).toEqual([{ name: 'east', ...says, tls: expect.any(Object) }]);
      expect(endpointsBeyondHelm(endpoints)).toEqual(leaves);
    },
  );

  test('lets it in to the store, and not to what clusters of ours are asked for', async () => {
    const { certificate } = await admitCilium(folder, { name: 'north', id: 3, nowMs: clock.now() });
    await expect(peerOf(folder, new X509Certificate(certificate))).rejects.toMatchObject({ code: 'NOT_A_PEER' });
  });

  test('once more replaces what it was given before within a day, and keeps how it is reached', async () => {
    await addCilium(folder, readCilium(secret('north.etcd-client'), 'north.yaml', undefined), { nowMs: clock.now() });
    const first = await admitCilium(folder, { name: 'north', nowMs: clock.now() });
    const second = await admitCilium(folder, { name: 'north', nowMs: clock.now() });
    const [old, fresh] = [first, second].map(({ certificate }) => new X509Certificate(certificate).fingerprint256);
    const users = (): string => readFileSync(folder.paths.usersFile, 'utf8');
    // What it comes with is not taken from it before the other one can be there.
    for (const fingerprint of [old, fresh]) expect(users()).toContain(fingerprint);
    await clock.advance(day + 1000);
    await renewOwn(folder, { clock, log: silentLogger });
    expect(users()).not.toContain(old);
    expect(users()).toContain(fresh);
    expect(existsSync(configFiles(folder.paths.configFolder, 'north').config)).toBe(true);
  });

  test('holds up a new authority of ours until it was given that, too', async () => {
    const steps = async (): Promise<readonly string[]> =>
      renewalSteps(await renewalFacts(folder), clock.now()).map(({ kind }) => kind);
    await admitCilium(folder, { name: 'north', id: 3, nowMs: clock.now() });
    await folder.authority.writeNotes({ rotationWanted: true });
    await renewOwn(folder, { clock, log: silentLogger });
    await clock.advance(5 * day);
    expect(await steps()).toEqual([]);
    const { authorities } = await admitCilium(folder, { name: 'north', nowMs: clock.now() });
    expect(authorities.match(/BEGIN/g)).toHaveLength(2);
    expect(await steps()).toEqual(['switch-authority']);
  });

  test('has a name and an id of its own', async () => {
    const admit = (name: string, id?: number): Promise<unknown> =>
      admitCilium(folder, { name, id, nowMs: clock.now() });
    await admit('north', 3);
    await expect(admit('east')).rejects.toThrow('east is the name of this cluster');
    await expect(admit('south', 1)).rejects.toThrow('1 is the id of this cluster');
    await expect(admit('south', 3)).rejects.toThrow('Cluster id 3 is that of the peer north');
    await admit('south');
  });
});
