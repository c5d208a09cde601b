import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { PeerFolder, fingerprintsIn } from '../../../../clustermesh/peers/folder/index.ts';
import { issueOwn, renewOwn, revokeOwn } from '../../../../clustermesh/peers/renewal/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { certificatesOf } from '../../../../runtime/tls/index.ts';
import { TestAuthority } from '../../../support/certificates.ts';

const day = 86_400_000;
let root: string;
let clock: VirtualClock;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'isthmus-renewal-'));
  clock = new VirtualClock(Date.now());
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const own = {
  name: 'east',
  id: 1,
  maxConnectedClusters: 255 as const,
  endpoints: ['https://east.example:2379'],
  enrolment: undefined,
  extraNames: ['10.0.0.7'],
  namespace: 'kube-system',
  certificateLifetimeMs: 30 * day,
  authorityLifetimeMs: 200 * day,
  authorityFolder: undefined as string | undefined,
};
const renew = (folder: PeerFolder): Promise<unknown> => renewOwn(folder, { clock, log: silentLogger });
const text = (file: string): string => readFileSync(file, 'utf8');
const serverOf = (folder: PeerFolder): X509Certificate =>
  new X509Certificate(text(folder.paths.certificate('server').certFile));

describe('certificates of a cluster', () => {
  test('are made once, and then found to be there', async () => {
    const folder = await PeerFolder.create(root, own, clock);
    await renew(folder);
    const first = serverOf(folder);
    for (const name of ['*.mesh.cilium.io', 'clustermesh-apiserver.cilium.io', 'east.example', 'localhost'])
      expect(first.subjectAltName).toContain(`DNS:${name}`);
    for (const address of ['127.0.0.1', '10.0.0.7']) expect(first.checkIP(address)).toBe(address);
    await renew(folder);
    expect(serverOf(folder).fingerprint256).toBe(first.fingerprint256);
    expect(new X509Certificate(text(folder.paths.certificate('admin').certFile)).subject).toBe('CN=admin-east');
  });

  test('are valid, trusted and soon forgotten again, for two years of renewals, whenever the process lives', async () => {
    const folder = await PeerFolder.create(root, own, clock);
    await renew(folder);
    const authorities = new Set<string>();
    /** What connections may still stand on: certificates that were in place at some time, and are valid. */
    let shown: X509Certificate[] = [];
    let most = 0;
    for (let at = 0; at < 720; at += 4) {
      await clock.advance(4 * day);
      await renew(folder);
      const server = serverOf(folder);
      shown = [...shown.filter((one) => Date.parse(one.validTo) > clock.now()), server];
      const trusted = certificatesOf(Buffer.from(text(folder.paths.trustedFile)));
      for (const one of shown) {
        const signer = trusted.find((ca) => one.checkIssued(ca) && one.verify(ca.publicKey));
        expect(signer && Date.parse(signer.validTo) > clock.now()).toBe(true);
      }
      expect(Date.parse(server.validTo)).toBeGreaterThan(clock.now() + 5 * day);
      for (const { fingerprint256 } of trusted) authorities.add(fingerprint256);
      most = Math.max(most, trusted.length);
    }
    expect(authorities.size).toBeGreaterThan(3);
    expect(most).toBe(2);
  }, 60_000);

  test('of an authority that somebody else looks after follow it', async () => {
    const external = join(root, 'issuer');
    const put = (authority: TestAuthority): void => {
      writeFileSync(join(external, 'tls.crt'), authority.cert);
      writeFileSync(join(external, 'tls.key'), authority.key);
    };
    const folder = await PeerFolder.create(join(root, 'own'), { ...own, authorityFolder: external }, clock);
    await expect(renew(folder)).rejects.toThrow(`${join(external, 'tls.crt')} is missing`);
    mkdirSync(external);
    const [first, second] = [new TestAuthority('first'), new TestAuthority('second')];
    put(first);
    await renew(folder);
    expect(serverOf(folder).checkIssued(new X509Certificate(first.cert))).toBe(true);
    put(second);
    await renew(folder);
    // Others are told first: what they check stays that of the old one for a day.
    expect(serverOf(folder).checkIssued(new X509Certificate(first.cert))).toBe(true);
    expect((await folder.certificate('admin'))?.issuer).toBe('CN=second');
    await clock.advance(day);
    await renew(folder);
    expect(serverOf(folder).checkIssued(new X509Certificate(second.cert))).toBe(true);
    expect(fingerprintsIn(text(folder.paths.trustedFile))).toEqual(
      [second, first].map(({ cert }) => new X509Certificate(cert).fingerprint256),
    );
    for (const file of ['active.pem', 'previous.crt'])
      expect(text(join(folder.paths.authorityFolder, file))).not.toContain('PRIVATE');
  });

  test('that are taken back stand in the users file until they have expired', async () => {
    const folder = await PeerFolder.create(root, own, clock);
    await renew(folder);
    await issueOwn(folder, 'agent-n1', clock.now());
    const admin = (await folder.certificate('admin'))?.fingerprint ?? '';
    const agent = (await folder.certificate('agent-n1'))?.fingerprint ?? '';
    expect(await revokeOwn(folder, 'agent-n1', clock.now())).toBe(agent);
    expect(await revokeOwn(folder, 'admin', clock.now())).toBe(admin);
    expect(await revokeOwn(folder, 'agent-n2', clock.now())).toBeUndefined();
    for (const fingerprint of [admin, agent]) expect(text(folder.paths.usersFile)).toContain(fingerprint);
    // Those that every cluster has are there again, those of agents are not.
    expect(await folder.certificate('admin')).toBeDefined();
    await clock.advance(31 * day);
    await renew(folder);
    expect(text(folder.paths.usersFile)).not.toContain('revoked');
    expect(await folder.certificateNames()).not.toContain('agent-n1');
  });

  test('whose key was lost are made anew', async () => {
    const folder = await PeerFolder.create(root, own, clock);
    await renew(folder);
    const first = serverOf(folder);
    rmSync(folder.paths.certificate('server').keyFile);
    await renew(folder);
    expect(serverOf(folder).fingerprint256).not.toBe(first.fingerprint256);
  });
});
