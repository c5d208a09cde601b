import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { certificateLines } from '../../../cli/certificate-status.ts';
import { withPeerFiles } from '../../../cli/peer-serving.ts';
import { PeerFolder } from '../../../clustermesh/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';

const nothing = {
  certFile: undefined,
  keyFile: undefined,
  trustedCaFile: undefined,
  clientCrlFile: undefined,
  clientCertAuth: false,
  usersFile: undefined,
  insecure: false,
  peerDir: undefined,
  peerListen: undefined,
};
const cluster = { clusterName: 'east', clusterId: 1, maxConnectedClusters: 255 as const };
let root: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'isthmus-peer-serving-'));
  const own = { name: 'east', id: 1, maxConnectedClusters: 255 as const, endpoints: [], enrolment: undefined };
  const rest = { extraNames: [], namespace: 'kube-system', authorityFolder: undefined };
  const lifetimes = { certificateLifetimeMs: 1e9, authorityLifetimeMs: 1e11 };
  await PeerFolder.create(join(root, 'east'), { ...own, ...rest, ...lifetimes }, systemClock);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('an apiserver with a folder of certificates', () => {
  test('serves with its files', async () => {
    const peerDir = join(root, 'east');
    expect(await withPeerFiles({ ...nothing, peerDir }, cluster)).toEqual({
      ...nothing,
      peerDir,
      certFile: join(peerDir, 'certificates/server/tls.crt'),
      keyFile: join(peerDir, 'certificates/server/tls.key'),
      trustedCaFile: join(peerDir, 'authority/ca.crt'),
      usersFile: join(peerDir, 'users.yaml'),
    });
  });

  test('without one is left as it is', async () => {
    expect(await withPeerFiles(nothing, cluster)).toEqual(nothing);
  });

  test.each([
    { values: { peerListen: { host: '::', port: 1 } }, says: '--peer-listen needs --peer-dir' },
    { values: { peerDir: 'east', certFile: 'x' }, says: '--cert-file says what --peer-dir says already' },
    { values: { peerDir: 'east', usersFile: 'x' }, says: '--users-file says what --peer-dir says already' },
    { values: { peerDir: 'nowhere' }, says: 'is no folder of certificates and peers' },
    {
      values: { peerDir: 'east' },
      own: { ...cluster, maxConnectedClusters: 511 as const },
      says: 'belongs to a mesh of 255 clusters, and this is to be one of 511',
    },
    { values: { peerDir: 'east' }, own: { ...cluster, clusterId: 2 }, says: 'belongs to the cluster east (id 1)' },
  ])('is refused with $values', async ({ values, own = cluster, says }) => {
    const peerDir = values.peerDir === undefined ? undefined : join(root, values.peerDir);
    await expect(withPeerFiles({ ...nothing, ...values, peerDir }, own)).rejects.toThrow(says);
  });
});

describe('status', () => {
  test('names what expires first, and whatever needs somebody to look at', () => {
    const certificate = (
      name: string,
      notAfter: string,
    ): { certificate: string; fingerprint: string; notAfter: string } => ({
      certificate: name,
      fingerprint: 'AB',
      notAfter,
    });
    const certificates = [certificate('authority', '2036-01-01'), certificate('peer/west', '2027-01-01')];
    expect(certificateLines({ certificates, troubles: {}, revocation: { withinSeconds: 5 } })).toEqual([
      '  Certificates:  2, the first to expire is peer/west, 2027-01-01',
    ]);
    const gap = 'etcd knows none';
    expect(
      certificateLines({
        certificates,
        troubles: { west: 'west cannot be reached' },
        revocation: { withinSeconds: 5, gap },
      }).slice(1),
    ).toEqual(['  Revocation:    etcd knows none', '  Not renewed:   west: west cannot be reached']);
  });
});
