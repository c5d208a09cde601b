import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import {
  type EtcdStore,
  type EtcdStoreOptions,
  PermissionDeniedError,
  type TlsFiles,
} from '../../../../kvstore/index.ts';
import { builtBinary } from '../../../support/built-binary.ts';
import {
  type IssuedCertificate,
  TestAuthority,
  fingerprintOf,
  writeCertificate,
} from '../../../support/certificates.ts';
import { type EtcdProcess, etcdBinary, etcdctl, etcdctlBinary, startEtcd } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { startTcpProxy } from '../../../support/tcp-proxy.ts';
import { Mirror, writeMany } from './mirror.ts';
import { clientOf } from './subjects.ts';

jest.setTimeout(120_000);

const prefix = 'cilium/state/ip/v1/';
const day = 86_400_000;

needs('etcd')('the etcd client and an etcd that asks for certificates', () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-trust-'));
  const ours = new TestAuthority('Mesh CA');
  const strange = new TestAuthority('Other CA');
  const caFile = join(folder, 'ca.crt');
  const serverCertificate = ours.issue({ commonName: 'etcd', names: ['127.0.0.1', 'west.mesh.example'] });
  const root = ours.issue({ commonName: 'root', names: [] });
  let etcd: EtcdProcess;
  let files: number;
  beforeAll(async () => {
    await builtBinary(etcdBinary);
    await builtBinary(etcdctlBinary);
    files = 0;
    writeFileSync(caFile, ours.cert);
    const server = writeCertificate(folder, 'server', serverCertificate);
    etcd = await startEtcd({ tls: { ...server, trustedCaFile: caFile } });
    const own = writeCertificate(folder, 'root', root);
    const identity = [`--cacert=${caFile}`, `--cert=${own.certFile}`, `--key=${own.keyFile}`];
    for (const step of [
      ['user', 'add', 'root', '--no-password'],
      ['user', 'grant-role', 'root', 'root'],
      ['role', 'add', 'remote'],
      ['role', 'grant-permission', 'remote', 'read', '--prefix', 'cilium/state/'],
      ['user', 'add', 'remote', '--no-password'],
      ['user', 'grant-role', 'remote', 'remote'],
      ['user', 'add', 'someone', '--no-password'],
      ['auth', 'enable'],
    ]) {
      const { code, stderr } = await etcdctl(`https://127.0.0.1:${etcd.securePort}`, [...identity, ...step]);
      if (code !== 0) throw new Error(`etcdctl ${step.join(' ')}: ${stderr}`);
    }
  }, 600_000);
  afterAll(async () => {
    await etcd?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const filesOf = (own: IssuedCertificate | undefined, authority = ours): TlsFiles => {
    const place = join(folder, `client-${++files}`);
    mkdirSync(place);
    const trustedCaFile = join(place, 'ca.crt');
    writeFileSync(trustedCaFile, authority.cert);
    return { trustedCaFile, ...(own ? writeCertificate(place, 'client', own) : {}) };
  };
  const open = (tls: TlsFiles, options: Partial<EtcdStoreOptions> = {}, port = etcd.securePort): EtcdStore =>
    clientOf(etcd, { endpoints: [`https://127.0.0.1:${port}`], tls, ...options });
  /** What keeps such a client from its store. */
  const obstacle = async (tls: TlsFiles): Promise<string> => {
    await using store = open(tls);
    const stop = new AbortController();
    const asking = store.get(`${prefix}a`, { signal: stop.signal }).catch(() => undefined);
    const deadline = performance.now() + 30_000;
    while (store.health().error === undefined && !store.health().connected && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 5));
    stop.abort();
    await asking;
    const { connected, error = '' } = store.health();
    if (connected) return 'nothing';
    expect(error).toContain('Cannot reach store');
    expect(error).not.toContain('PRIVATE');
    return error;
  };

  test('is who its certificate says: what the name may not, it may not', async () => {
    await using admin = open(filesOf(root));
    await using reader = open(filesOf(ours.issue({ commonName: 'remote', names: [] })));
    await using someone = open(filesOf(ours.issue({ commonName: 'someone', names: [] })));
    await using unknown = open(filesOf(ours.issue({ commonName: 'nobody', names: [] })));
    await admin.put(`${prefix}a`, '1');
    expect((await reader.get(`${prefix}a`))?.version).toBeGreaterThan(0);
    await expect(reader.put(`${prefix}a`, '2')).rejects.toThrow(PermissionDeniedError);
    await expect(reader.get('cilium/cache/a')).rejects.toThrow(PermissionDeniedError);
    await expect(someone.get(`${prefix}a`)).rejects.toThrow(PermissionDeniedError);
    await expect(unknown.get(`${prefix}a`)).rejects.toThrow(PermissionDeniedError);
  });

  test.each([
    {
      what: 'expired',
      names: 'ours',
      own: () => ours.issue({ commonName: 'root', notBeforeMs: Date.now() - 2 * day, notAfterMs: Date.now() - day }),
      says: /refuses our certificate .*, and has expired on /,
    },
    {
      what: 'not yet valid',
      names: 'ours',
      own: () => ours.issue({ commonName: 'root', notBeforeMs: Date.now() + day, notAfterMs: Date.now() + 2 * day }),
      says: /refuses our certificate .*, and is not valid before /,
    },
    {
      what: 'of another authority',
      names: 'ours',
      own: () => strange.issue({ commonName: 'root' }),
      says: /refuses our certificate .*CN=root .*issued by CN=Other CA/,
    },
  ])(
    'says that the server refuses our certificate, which is $what: both fingerprints, and the file',
    async ({ own, says }) => {
      const certificate = own();
      const tls = filesOf(certificate);
      const message = await obstacle(tls);
      expect(message).toMatch(says);
      expect(message).toContain(fingerprintOf(certificate.cert));
      expect(message).toContain(fingerprintOf(serverCertificate.cert));
      expect(message).toContain(tls.certFile);
    },
  );

  test('says that the server wants a certificate where none is configured', async () => {
    expect(await obstacle(filesOf(undefined))).toMatch(/wants a certificate of us, and none is configured/);
  });

  test.each([
    {
      what: 'is of an authority that we do not trust',
      tls: () => filesOf(root, strange),
      trusted: strange,
      says: /CN=Mesh CA, which is not trusted/,
    },
    {
      what: 'is for another name',
      tls: () => ({ ...filesOf(root), serverName: 'east.mesh.example' }),
      trusted: ours,
      says: /is not for "east.mesh.example", but for IP Address:127.0.0.1, DNS:west.mesh.example/,
    },
  ])('says that the server’s certificate $what: both fingerprints, and the file', async ({ tls, trusted, says }) => {
    const given = tls();
    const message = await obstacle(given);
    expect(message).toMatch(says);
    expect(message).toContain(fingerprintOf(serverCertificate.cert));
    expect(message).toContain(fingerprintOf(trusted.cert));
    expect(message).toContain(given.trustedCaFile);
  });

  test.each([
    { what: 'of any authority', tls: () => filesOf(root, strange) },
    { what: 'for any name', tls: () => ({ ...filesOf(root), serverName: 'east.mesh.example' }) },
  ])('would be found out if it trusted a certificate $what', async ({ tls }) => {
    expect(await obstacle({ ...tls(), insecureSkipVerify: true })).toBe('nothing');
  });

  test('takes rotated certificates for its next connection, and keeps the one it has', async () => {
    const mounted = join(folder, 'mounted');
    mkdirSync(mounted);
    let generation = 0;
    const turn = (own: IssuedCertificate): void => {
      const place = `..generation-${++generation}`;
      writeCertificate(join(mounted, place), 'tls', own);
      writeFileSync(join(mounted, place, 'ca.crt'), ours.cert);
      symlinkSync(place, join(mounted, '..data_tmp'));
      renameSync(join(mounted, '..data_tmp'), join(mounted, '..data'));
    };
    turn(ours.issue({ commonName: 'remote', names: [] }));
    for (const file of ['tls.crt', 'tls.key', 'ca.crt']) symlinkSync(join('..data', file), join(mounted, file));
    const tls = {
      trustedCaFile: join(mounted, 'ca.crt'),
      certFile: join(mounted, 'tls.crt'),
      keyFile: join(mounted, 'tls.key'),
    };
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: etcd.securePort });
    await using admin = open(filesOf(root));
    await using store = open(tls, {}, proxy.port);
    await writeMany(admin, `${prefix}stable/`, 20);
    await using mirror = new Mirror(store, prefix);
    await mirror.agreesWith(admin, prefix);
    // From now on it is somebody who may do everything; the connection that stands is the old one's.
    turn(root);
    await admin.put(`${prefix}while`, '1');
    await mirror.agreesWith(admin, prefix);
    await expect(store.put(`${prefix}x`, '1')).rejects.toThrow(PermissionDeniedError);
    expect(store.health().reconnections).toBe(0);
    proxy.cut();
    await mirror.until(() => store.health().reconnections > 0);
    await store.get(`${prefix}while`);
    await store.put(`${prefix}after`, '1');
    await mirror.agreesWith(admin, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    // A rotation that is broken changes nothing.
    turn({ cert: root.cert, key: strange.key });
    proxy.cut();
    await mirror.until(() => store.health().reconnections > 1);
    await store.get(`${prefix}while`);
    await store.put(`${prefix}after that`, '1');
    await mirror.agreesWith(admin, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
  });

  test('follows on when the server’s certificate is no good any more, until it has to connect again', async () => {
    const place = join(folder, 'replaced');
    const server = writeCertificate(place, 'server', serverCertificate);
    const expired = ours.issue({ commonName: 'etcd', notBeforeMs: Date.now() - 2 * day, notAfterMs: Date.now() - day });
    await using other = await startEtcd({ tls: { ...server, trustedCaFile: caFile } });
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: other.securePort });
    await using store = open(filesOf(root), {}, proxy.port);
    await store.put(`${prefix}stable/1`, '1');
    await using mirror = new Mirror(store, prefix);
    await mirror.until(() => mirror.watch.synced);
    // etcd reads its files for each handshake.
    writeCertificate(place, 'server', expired);
    await store.put(`${prefix}late`, '1');
    await mirror.until(() => mirror.state.has('late'));
    expect(store.health().reconnections).toBe(0);
    proxy.cut();
    await mirror.until(() => store.health().error?.includes('has expired on') === true);
    expect(store.health().error).toContain(fingerprintOf(expired.cert));
    // What was known stays.
    expect([...mirror.state.keys()].toSorted()).toEqual(['late', 'stable/1']);
    writeCertificate(place, 'server', serverCertificate);
    await mirror.until(() => store.health().connected);
    await store.get(`${prefix}late`);
    await store.put(`${prefix}later`, '1');
    await mirror.agreesWith(store, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
  });
});
