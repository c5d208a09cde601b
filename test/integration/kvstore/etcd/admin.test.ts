import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, jest, test } from '@jest/globals';
import { InvalidRequestError, PermissionDeniedError, UnavailableError } from '../../../../kvstore/index.ts';
import { type EtcdAdminOptions, openEtcdAdmin } from '../../../../kvstore/etcd/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { builtBinary } from '../../../support/built-binary.ts';
import { TestAuthority, writeCertificate } from '../../../support/certificates.ts';
import { etcdBinary, freePort, startEtcd } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { clientOf } from './subjects.ts';

jest.setTimeout(120_000);

const admin = (endpoint: string, options: Partial<EtcdAdminOptions> = {}) =>
  openEtcdAdmin({ endpoints: [endpoint], clock: systemClock, timeoutMs: 30_000, ...options });

needs('etcd')('the administration of an etcd', () => {
  beforeAll(() => builtBinary(etcdBinary), 600_000);

  test('makes users and roles, and switches authentication on', async () => {
    await using etcd = await startEtcd();
    await using before = await admin(etcd.endpoint);
    await before.addUser('root', 'secret-of-root');
    await before.grantRole('root', 'root');
    await before.addRole('remote');
    await before.grantPrefix('remote', 'read', 'cilium/state/');
    await before.addUser('remote-west', 'secret-of-west');
    await before.addUser('by-certificate');
    await before.grantRole('remote-west', 'remote');
    await before.enableAuth();
    await expect(before.users()).rejects.toThrow(PermissionDeniedError);

    await using after = await admin(etcd.endpoint, { username: 'root', password: 'secret-of-root' });
    expect(await after.users()).toEqual([
      { name: 'by-certificate', roles: [] },
      { name: 'remote-west', roles: ['remote'] },
      { name: 'root', roles: ['root'] },
    ]);
    expect((await after.roles()).find(({ name }) => name === 'remote')?.permissions).toEqual([
      { access: 'read', key: Buffer.from('cilium/state/'), rangeEnd: Buffer.from('cilium/state0') },
    ]);
    await using west = clientOf(etcd, { username: 'remote-west', password: 'secret-of-west' });
    expect(await west.get('cilium/state/x')).toBeUndefined();
    await expect(west.put('cilium/state/x', '1')).rejects.toThrow(PermissionDeniedError);
    await expect(after.addUser('remote-west', 'x')).rejects.toThrow(InvalidRequestError);
    await after.revokeRole('remote-west', 'remote');
    await expect(west.get('cilium/state/x')).rejects.toThrow(PermissionDeniedError);
    await after.deleteUser('remote-west');
    await after.deleteRole('remote');
    await after.disableAuth();
    expect(await before.users()).toHaveLength(2);
  });

  test('tells the members', async () => {
    await using etcd = await startEtcd();
    await using asking = await admin(etcd.endpoint);
    expect(await asking.members()).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f]{1,16}$/),
        name: 't',
        peerUrls: ['http://127.0.0.1:1'],
        clientUrls: [etcd.endpoint],
        isLearner: false,
      },
    ]);
  });

  test('elects one of several, and the next one when that resigns', async () => {
    await using etcd = await startEtcd();
    await using one = await admin(etcd.endpoint);
    await using other = await admin(etcd.endpoint);
    const { signal } = new AbortController();
    expect(await one.leader('mirror')).toBeUndefined();
    const first = await one.campaign('mirror', 'one', { signal });
    let second = false;
    const waiting = other.campaign('mirror', 'other', { signal }).then((leadership) => {
      second = true;
      return leadership;
    });
    expect(await other.leader('mirror')).toBe('one');
    expect(second).toBe(false);
    await first.resign();
    const next = await waiting;
    expect(await one.leader('mirror')).toBe('other');
    expect(next.lost.aborted).toBe(false);
    const stop = new AbortController();
    const givesUp = one.campaign('mirror', 'one', { signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(givesUp).rejects.toThrow('enough');
    await next.resign();
  });

  test('works by TLS with a certificate', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-admin-'));
    try {
      const ca = new TestAuthority('Mesh CA');
      const trustedCaFile = join(folder, 'ca.crt');
      writeFileSync(trustedCaFile, ca.cert);
      const server = writeCertificate(folder, 'server', ca.issue({ commonName: 'etcd' }));
      const own = writeCertificate(folder, 'own', ca.issue({ commonName: 'admin', names: [] }));
      await using etcd = await startEtcd({ tls: { ...server, trustedCaFile } });
      await using asking = await admin(`https://127.0.0.1:${etcd.securePort}`, { tls: { trustedCaFile, ...own } });
      expect(await asking.members()).toHaveLength(1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('gives up in time when nobody is there, or nobody answers', async () => {
    await using nobody = await admin(`http://127.0.0.1:${await freePort()}`, { timeoutMs: 500 });
    await expect(nobody.members()).rejects.toThrow(UnavailableError);
    await using etcd = await startEtcd();
    await using frozen = await admin(etcd.endpoint, { timeoutMs: 500, username: 'root', password: 'secret' });
    etcd.pause();
    const error: unknown = await frozen.users().catch((reason: unknown) => reason);
    etcd.resume();
    expect(error).toBeInstanceOf(UnavailableError);
    expect(String(error)).not.toContain('secret');
  });
});
