import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TlsFiles, UnavailableError } from '../../../../kvstore/index.ts';
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

  test('is refused under another authority, and refuses a certificate of another', async () => {
    await using distrusting = clientWith({ trustedCaFile: strange.ca, certFile: files.cert, keyFile: files.key });
    await expect(distrusting.get('tls/a')).rejects.toThrow(UnavailableError);
    await using distrusted = clientWith({ trustedCaFile: files.ca, certFile: strange.cert, keyFile: strange.key });
    await expect(distrusted.get('tls/a')).rejects.toThrow(UnavailableError);
    await using anonymous = clientWith({ trustedCaFile: files.ca });
    await expect(anonymous.get('tls/a')).rejects.toThrow(UnavailableError);
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
