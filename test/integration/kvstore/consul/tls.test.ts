import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConsulAdmin, type TlsFiles, UnavailableError } from '../../../../kvstore/index.ts';
import { fingerprintOf } from '../../../support/certificates.ts';
import { type ConsulCertificates, type ConsulProcess, makeCertificates, startConsul } from '../../../support/consul.ts';
import { freePort } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { clientOf } from './support.ts';

jest.setTimeout(60_000);

needs('consul')('A Consul that asks for certificates', () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-consul-tls-'));
  let files: ConsulCertificates;
  let strange: ConsulCertificates;
  let server: ConsulProcess;
  let address = '';
  beforeAll(async () => {
    for (const name of ['ours', 'strange']) mkdirSync(join(folder, name));
    files = await makeCertificates(join(folder, 'ours'));
    strange = await makeCertificates(join(folder, 'strange'));
    const httpsPort = await freePort();
    const hcl = `tls { https { ca_file = "${files.ca}" cert_file = "${files.cert}" key_file = "${files.key}" verify_incoming = true } }`;
    server = await startConsul({ httpsPort, hcl });
    address = `https://127.0.0.1:${httpsPort}`;
  }, 600_000);
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await server[Symbol.asyncDispose]();
  });
  const clientWith = (tls: TlsFiles) => clientOf(server, { addresses: [address], tls, callTimeoutMs: 500 });

  test('serves whom it trusts and who trusts it', async () => {
    await using store = clientWith({ trustedCaFile: files.ca, certFile: files.cert, keyFile: files.key });
    await store.put('tls/a', 'x');
    expect(await store.get('tls/a')).toBeDefined();
    for await (const batch of store.listAndWatch('tls/', { signal: new AbortController().signal }))
      if (batch.type === 'synced') break;
  });

  /** What keeps such a client from its store. */
  const obstacle = async (tls: TlsFiles): Promise<string> => {
    await using store = clientWith(tls);
    const error: unknown = await store.get('tls/a').then(
      () => 'nothing',
      (reason: unknown) => reason,
    );
    if (error === 'nothing') return error;
    expect(error).toBeInstanceOf(UnavailableError);
    const { message } = error as Error;
    expect(message).toContain(`Consul at ${address}`);
    expect(store.health().error).toBeDefined();
    // The package that asks for what is cold is told the same.
    const admin = new ConsulAdmin({ addresses: [address], tls });
    const told: unknown = await admin.leader().catch((reason: unknown) => reason);
    expect(String(told)).toContain(message.slice(message.indexOf('Consul at ')));
    return message;
  };
  const fingerprint = (file: string): string => fingerprintOf(readFileSync(file, 'utf8'));

  test('is refused under another authority: both fingerprints, and the file', async () => {
    const message = await obstacle({ trustedCaFile: strange.ca, certFile: files.cert, keyFile: files.key });
    expect(message).toContain('which is not trusted');
    for (const part of [fingerprint(files.cert), fingerprint(strange.ca), strange.ca]) expect(message).toContain(part);
  });

  test('refuses a certificate of another authority: both fingerprints, and the file', async () => {
    const message = await obstacle({ trustedCaFile: files.ca, certFile: strange.cert, keyFile: strange.key });
    expect(message).toContain('refuses our certificate');
    for (const part of [fingerprint(files.cert), fingerprint(strange.cert), strange.cert])
      expect(message).toContain(part);
  });

  test('is refused under another name, and wants a certificate', async () => {
    const own = { trustedCaFile: files.ca, certFile: files.cert, keyFile: files.key };
    expect(await obstacle({ ...own, serverName: 'east.mesh.example' })).toContain('is not for "east.mesh.example"');
    expect(await obstacle({ trustedCaFile: files.ca })).toContain('wants a certificate of us, and none is configured');
  });

  test('would be found out to be taken for another, if any certificate were trusted', async () => {
    const tls = { trustedCaFile: strange.ca, certFile: files.cert, keyFile: files.key };
    expect(await obstacle({ ...tls, insecureSkipVerify: true })).toBe('nothing');
  });

  test('is reached with the last good files while a rotation is half done', async () => {
    const [certFile, keyFile] = [join(folder, 'rotated.pem'), join(folder, 'rotated-key.pem')];
    cpSync(files.cert, certFile);
    cpSync(files.key, keyFile);
    await using store = clientWith({ trustedCaFile: files.ca, certFile, keyFile });
    await store.put('tls/rotated', '1');
    cpSync(strange.key, keyFile);
    await using proxied = clientWith({ trustedCaFile: files.ca, certFile, keyFile });
    await expect(proxied.get('tls/rotated')).rejects.toThrow(/is not the private key of the certificate/);
    // More at once than there are connections, so that new ones are made.
    const reads = Array.from({ length: 10 }, () => store.get('tls/rotated'));
    for (const entry of await Promise.all(reads)) expect(entry?.version).toBeGreaterThan(0);
  });

  test('is reached as soon as the right files are there', async () => {
    const later = join(folder, 'later.pem');
    cpSync(strange.ca, later);
    await using store = clientWith({ trustedCaFile: later, certFile: files.cert, keyFile: files.key });
    await expect(store.get('tls/a')).rejects.toThrow(UnavailableError);
    cpSync(files.ca, later);
    await store.put('tls/later', 'x');
    expect(await store.get('tls/later')).toBeDefined();
  });
});
