import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import {
  ConsulAdmin,
  type ConsulAdminOptions,
  PermissionDeniedError,
  UnavailableError,
} from '../../../../kvstore/index.ts';
import { type ConsulProcess, consulVersion, makeCertificates, startConsul } from '../../../support/consul.ts';
import { freePort } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { tokenFor } from './support.ts';

jest.setTimeout(60_000);

const managementToken = '1c0a6cfd-8a8e-4e2f-9f6b-0d5a35a4e0b1';

needs('consul')('What is cold of a Consul', () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-consul-admin-'));
  const socketPath = join(folder, 'consul.sock');
  let server: ConsulProcess;
  let httpsPort: number;
  let tls: NonNullable<ConsulAdminOptions['tls']>;
  const tokenFile = (token: string): string => {
    const path = join(folder, `token-${token.slice(0, 8)}`);
    writeFileSync(path, `${token}\n`, { mode: 0o600 });
    return path;
  };
  const adminWith = (options: Partial<ConsulAdminOptions> = {}): ConsulAdmin =>
    new ConsulAdmin({ addresses: [server.endpoint], ...options });

  beforeAll(async () => {
    const { ca, cert, key } = await makeCertificates(folder);
    tls = { trustedCaFile: ca, certFile: cert, keyFile: key };
    httpsPort = await freePort();
    const hcl = `tls { https { ca_file = "${ca}" cert_file = "${cert}" key_file = "${key}" verify_incoming = true } }`;
    server = await startConsul({ managementToken, socketPath, httpsPort, hcl });
  }, 600_000);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test.each([
    { way: 'over HTTP', address: () => server.endpoint },
    { way: 'over a Unix socket', address: () => `unix://${socketPath}` },
    { way: 'over TLS with a certificate', address: () => `https://127.0.0.1:${httpsPort}` },
  ])('is told $way: who leads, which servers there are, which version and nodes', async ({ address }) => {
    const admin = adminWith({ addresses: [address()], tls, tokenFile: tokenFile(managementToken) });
    const leader = await admin.leader();
    expect(leader).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(await admin.peers()).toEqual([leader]);
    expect(await admin.version()).toBe(consulVersion);
    expect(await admin.nodes()).toEqual(['t']);
  });

  test('is refused to who has no right, with an error that has no token in it', async () => {
    const token = await tokenFor(server, 'reader', 'key_prefix "" { policy = "read" }');
    const error = await adminWith({ tokenFile: tokenFile(token) })
      .version()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PermissionDeniedError);
    expect(`${(error as Error).stack}`).not.toContain(token);
    await expect(adminWith().bootstrapAcl()).rejects.toThrow(PermissionDeniedError);
  });

  test('is told with a token that took the place of a refused one in its file', async () => {
    const path = join(folder, 'exchanged');
    const rules = 'agent_prefix "" { policy = "read" }';
    const [former, next] = [await tokenFor(server, 'former', rules), await tokenFor(server, 'next', rules)];
    writeFileSync(path, former, { mode: 0o600 });
    const admin = adminWith({ tokenFile: path });
    expect(await admin.version()).toBe(consulVersion);
    const { text } = await server.call('GET', '/v1/acl/token/self', undefined, former);
    await server.call('DELETE', `/v1/acl/token/${(JSON.parse(text) as { AccessorID: string }).AccessorID}`);
    await expect(admin.version()).rejects.toThrow(PermissionDeniedError);
    writeFileSync(path, next);
    expect(await admin.version()).toBe(consulVersion);
  });

  test('is given up in time where nothing answers, and asked for at the next address', async () => {
    // It takes what comes, and says nothing.
    const deaf = createServer((socket) => void socket.on('error', () => undefined).resume());
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    const address = deaf.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    try {
      const silent = `http://127.0.0.1:${port}`;
      const alone = adminWith({ addresses: [silent], timeoutMs: 200 });
      await expect(alone.leader()).rejects.toThrow(UnavailableError);
      const both = adminWith({ addresses: [silent, server.endpoint], timeoutMs: 200 });
      expect(await both.leader()).toBeDefined();
    } finally {
      await new Promise((resolve) => deaf.close(resolve));
    }
  });
});
