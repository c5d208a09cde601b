import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Server, type TLSSocket, type TlsOptions, createServer } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { VirtualClock, systemClock } from '../../../runtime/clock/index.ts';
import { type Logger, silentLogger } from '../../../runtime/log/index.ts';
import {
  type TlsFiles,
  TlsFileError,
  type TlsMaterial,
  TlsPeerError,
  TlsSource,
  connectTls,
  peerError,
  readTlsFiles,
  secureContextOf,
} from '../../../runtime/tls/index.ts';
import { type IssuedCertificate, TestAuthority, fingerprintOf, writeCertificate } from '../../support/certificates.ts';

const day = 86_400_000;
const ours = new TestAuthority('Mesh CA');
const strange = new TestAuthority('Other CA');
const etcd = ours.issue({ commonName: 'etcd' });
const never = new AbortController().signal;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-tls-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

/** Files as a client has them: whom it trusts, who it is. */
function clientFiles(authority: TestAuthority, own?: IssuedCertificate): TlsFiles {
  return { trustedCaFile: write('ca.crt', authority.cert), ...(own ? writeCertificate(folder, 'client', own) : {}) };
}

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Error) return error;
  throw new Error('It did not fail');
}

async function serving<T>(options: TlsOptions, use: (port: number, server: Server) => Promise<T>): Promise<T> {
  const sockets = new Set<TLSSocket>();
  const server = createServer(options, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.write('x');
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await use((server.address() as AddressInfo).port, server);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe('certificate files', () => {
  test('are read together, and tell who we are and whom we trust', async () => {
    const material = await readTlsFiles(clientFiles(ours, etcd));
    expect(material.certificate).toMatchObject({
      subject: 'CN=etcd',
      issuer: 'CN=Mesh CA',
      commonName: 'etcd',
      fingerprint: fingerprintOf(etcd.cert),
      names: ['DNS:localhost', 'IP Address:127.0.0.1'],
    });
    expect(material.authorities.map(({ fingerprint }) => fingerprint)).toEqual([fingerprintOf(ours.cert)]);
  });

  test.each([
    {
      what: 'is missing',
      files: () => ({ trustedCaFile: join(folder, 'no') }),
      says: /no cannot be read: there is no such file/,
    },
    {
      what: 'is no PEM',
      files: () => ({ trustedCaFile: write('a', 'x') }),
      says: /a holds no certificate: expected PEM/,
    },
    {
      what: 'is a broken certificate',
      files: () => ({ trustedCaFile: write('b', etcd.cert.replace(/\n.{20}/, '\n')) }),
      says: /b holds a certificate that cannot be read/,
    },
    {
      what: 'holds no key',
      files: () => ({ ...writeCertificate(folder, 'c', etcd), keyFile: write('no.key', etcd.cert) }),
      says: /no.key holds no private key/,
    },
    {
      what: 'is the key of another certificate',
      files: () => ({ ...writeCertificate(folder, 'c', etcd), keyFile: write('d.key', strange.key) }),
      says: new RegExp(
        `d.key is not the private key of the certificate in .*c.crt .SHA-256 ${fingerprintOf(etcd.cert)}`,
      ),
    },
  ])('are refused by name when one $what', async ({ files, says }) => {
    const error = await failureOf(readTlsFiles(files()));
    expect(error).toBeInstanceOf(TlsFileError);
    expect(error.message).toMatch(says);
    expect(error.message).not.toContain('PRIVATE');
  });
});

describe('a connection by TLS', () => {
  const to = (port: number, files: TlsFiles, host = '127.0.0.1'): Promise<TLSSocket> =>
    readTlsFiles(files)
      .then((material) => connectTls({ host, port }, material, Date.now(), never))
      .then(({ socket }) => socket);

  test('stands when both trust each other', async () => {
    const own = ours.issue({ commonName: 'agent' });
    await serving({ ...etcd, ca: ours.cert, requestCert: true }, async (port) => {
      const socket = await to(port, clientFiles(ours, own));
      expect(socket.getProtocol()).toBe('TLSv1.3');
      socket.destroy();
    });
  });

  test.each([
    {
      what: 'expired',
      problem: 'expired',
      server: () =>
        ours.issue({ commonName: 'etcd', notAfterMs: Date.UTC(2026, 0, 2), notBeforeMs: Date.UTC(2026, 0, 1) }),
      says: /has expired on 2026-01-02T00:00:00Z/,
    },
    {
      what: 'not valid yet',
      problem: 'not-yet-valid',
      server: () =>
        ours.issue({ commonName: 'etcd', notBeforeMs: Date.UTC(2096, 0, 1), notAfterMs: Date.UTC(2097, 0, 1) }),
      says: /is not valid before 2096-01-01T00:00:00Z/,
    },
    {
      what: 'of another authority',
      problem: 'wrong-authority',
      server: () => strange.issue({ commonName: 'etcd' }),
      says: /is issued by CN=Other CA, which is not trusted/,
    },
    {
      what: 'for another name',
      problem: 'wrong-name',
      server: () => ours.issue({ commonName: 'etcd', names: ['west.mesh.example', '10.1.2.3'] }),
      says: /is not for "127.0.0.1", but for DNS:west.mesh.example, IP Address:10.1.2.3/,
    },
  ])(
    'is refused when the certificate is $what, with both fingerprints and the file',
    async ({ problem, server, says }) => {
      const presented = server();
      await serving(presented, async (port) => {
        const files = clientFiles(ours);
        const error = await failureOf(to(port, files));
        expect(error).toBeInstanceOf(TlsPeerError);
        expect(error).toMatchObject({ problem, file: files.trustedCaFile });
        expect(error.message).toMatch(says);
        expect(error.message).toContain(`127.0.0.1:${port}`);
        expect(error.message).toContain(fingerprintOf(presented.cert));
        expect(error.message).toContain(fingerprintOf(ours.cert));
        expect(error.message).toContain(files.trustedCaFile);
      });
    },
  );

  test('stands when an intermediate authority is the one that is trusted, and those beside it do not', async () => {
    const issuer = new TestAuthority('Issuer of ours', { parent: ours });
    const beside = new TestAuthority('Issuer beside', { parent: ours });
    await serving(issuer.issue({ commonName: 'etcd' }), async (port) => {
      (await to(port, clientFiles(issuer))).destroy();
      expect(await failureOf(to(port, clientFiles(beside)))).toMatchObject({ problem: 'wrong-authority' });
    });
  });

  test('is refused when the authority has expired, which is named', async () => {
    const old = new TestAuthority('Old CA', { notBeforeMs: Date.UTC(2025, 0, 1), notAfterMs: Date.UTC(2026, 0, 1) });
    const presented = old.issue({ commonName: 'etcd' });
    await serving(presented, async (port) => {
      const error = await failureOf(to(port, clientFiles(old)));
      expect(error).toMatchObject({ problem: 'expired' });
      expect(error.message).toMatch(/issued by CN=Old CA .* from .*ca.crt, which has expired on 2026-01-01/);
      expect(error.message).toContain(fingerprintOf(old.cert));
      expect(error.message).toContain(fingerprintOf(presented.cert));
    });
  });

  test('stands for another name when that is the one expected, and to anybody when nothing is verified', async () => {
    await serving(ours.issue({ commonName: 'etcd', names: ['west.mesh.example'] }), async (port) => {
      (await to(port, { ...clientFiles(ours), serverName: 'west.mesh.example' })).destroy();
      (await to(port, { ...clientFiles(strange), insecureSkipVerify: true })).destroy();
    });
  });

  test('tells that nobody speaks TLS there', async () => {
    const server = createTcpServer((socket) =>
      socket
        .on('error', () => undefined)
        .resume()
        .end('HTTP/1.1 400 Bad Request\r\n'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const error = await failureOf(to((server.address() as AddressInfo).port, clientFiles(ours)));
    expect(error).toMatchObject({ problem: 'no-tls' });
    expect(error.message).toMatch(/127.0.0.1:\d+ does not speak TLS/);
    await new Promise((resolve) => server.close(resolve));
  });

  test.each([
    { what: 'has none', own: () => undefined, says: /wants a certificate of us, and none is configured/ },
    {
      what: 'has one of another authority',
      own: () => strange.issue({ commonName: 'agent' }),
      says: /CN=agent .*issued by CN=Other CA/,
    },
  ])('tells what the server has against a client that $what', async ({ own, says }) => {
    const client = own();
    // The server that refuses by an alert: TLS 1.2 within the handshake, 1.3 behind it.
    await serving({ ...etcd, ca: ours.cert, requestCert: true, rejectUnauthorized: true }, async (port) => {
      const material = await readTlsFiles(clientFiles(ours, client));
      const error = await failureOf(
        connectTls({ host: '127.0.0.1', port }, material, Date.now(), never).then(async ({ socket, explain }) => {
          const reason = await new Promise((resolve) => socket.once('error', resolve).once('close', resolve));
          throw explain(reason instanceof Error ? reason : new Error('closed'));
        }),
      );
      // OpenSSL's server only alerts about a certificate that is missing; others it cuts off.
      if (client === undefined || error instanceof TlsPeerError) expect(error.message).toMatch(says);
      if (client === undefined) expect(error.message).toContain(fingerprintOf(etcd.cert));
    });
  });

  test('is judged by a server in the same words', async () => {
    const expired = ours.issue({
      commonName: 'agent',
      notBeforeMs: Date.now() - 2 * day,
      notAfterMs: Date.now() - day,
    });
    const material = await readTlsFiles({ trustedCaFile: write('clients.crt', ours.cert) });
    const judged = Promise.withResolvers<TlsPeerError | undefined>();
    const options = { ...etcd, ...secureContextOf(material), requestCert: true, rejectUnauthorized: false };
    await serving(options, async (port, server) => {
      server.on('secureConnection', (socket) =>
        judged.resolve(peerError(socket, { peer: 'the client', material, nowMs: Date.now() })),
      );
      const socket = await to(port, clientFiles(ours, expired));
      const error = await judged.promise;
      expect(error?.problem).toBe('expired');
      expect(error?.message).toMatch(/^Certificate of the client has expired/);
      expect(error?.message).toContain(fingerprintOf(expired.cert));
      expect(error?.message).toContain(fingerprintOf(ours.cert));
      socket.destroy();
    });
  });

  test('is judged by a server that trusts an intermediate authority, and not the one above', async () => {
    const issuer = new TestAuthority('Issuer of ours', { parent: ours });
    const beside = new TestAuthority('Issuer beside', { parent: ours });
    const old = { notBeforeMs: Date.now() - 2 * day, notAfterMs: Date.now() - day };
    const material = await readTlsFiles({ trustedCaFile: write('clients.crt', issuer.cert) });
    const options = { ...etcd, ...secureContextOf(material), requestCert: true, rejectUnauthorized: false };
    for (const [client, problem] of [
      [issuer.issue({ commonName: 'agent' }), undefined],
      [issuer.issue({ commonName: 'agent', ...old }), expect.any(String)],
      [beside.issue({ commonName: 'agent' }), 'wrong-authority'],
      [ours.issue({ commonName: 'agent' }), 'wrong-authority'],
    ] as const)
      await serving(options, async (port, server) => {
        const judged = Promise.withResolvers<TlsPeerError | undefined>();
        server.on('secureConnection', (socket) =>
          judged.resolve(peerError(socket, { peer: 'the client', material, nowMs: Date.now() })),
        );
        const socket = await to(port, clientFiles(ours, client));
        expect((await judged.promise)?.problem).toEqual(problem);
        socket.destroy();
      });
  });

  test('is closed when the signal aborts in the middle of the handshake', async () => {
    const server = createTcpServer((socket) => socket.on('error', () => undefined).resume());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const stop = new AbortController();
    const material = await readTlsFiles(clientFiles(ours));
    const closed = new Promise((resolve) => server.once('connection', (socket) => socket.once('close', resolve)));
    const { port } = server.address() as AddressInfo;
    const arrived = new Promise((resolve) => server.once('connection', resolve));
    const connecting = failureOf(connectTls({ host: '127.0.0.1', port }, material, Date.now(), stop.signal));
    await arrived;
    stop.abort(new Error('enough'));
    expect((await connecting).message).toBe('enough');
    await closed;
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('certificate files that are replaced', () => {
  /** A folder as Kubernetes mounts a secret: the files are links through `..data`, which is turned in one step. */
  class MountedSecret {
    #generation = 0;

    turn(contents: Readonly<Record<string, string>>): void {
      const name = `..generation-${++this.#generation}`;
      mkdirSync(join(folder, name));
      for (const [file, text] of Object.entries(contents)) writeFileSync(join(folder, name, file), text);
      symlinkSync(name, join(folder, '..data_tmp'));
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
      if (this.#generation > 1) return;
      for (const file of Object.keys(contents)) symlinkSync(join('..data', file), join(folder, file));
    }
  }
  const contents = ({ cert, key }: IssuedCertificate): Record<string, string> => ({
    'ca.crt': ours.cert,
    'tls.crt': cert,
    'tls.key': key,
  });
  const files = (): TlsFiles => ({
    trustedCaFile: join(folder, 'ca.crt'),
    certFile: join(folder, 'tls.crt'),
    keyFile: join(folder, 'tls.key'),
  });
  const logged: string[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: (message, facts) => void logged.push(`${message} ${JSON.stringify(facts)}`),
  };
  beforeEach(() => void logged.splice(0));

  test('that should have been, and were not, are named once while there is a sixth of their life left', async () => {
    const secret = new MountedSecret();
    secret.turn(contents(etcd));
    const clock = new VirtualClock(Date.now());
    const alarms: string[] = [];
    const error: Logger['error'] = (message, facts) => void alarms.push(`${message} ${JSON.stringify(facts)}`);
    const source = new TlsSource(files(), { clock, log: { ...log, error } });
    // Ten days, of which one is over.
    await source.read();
    await clock.advance(7 * day);
    await source.read();
    expect(alarms).toEqual([]);
    await clock.advance(day);
    for (let i = 0; i < 3; i++) await source.read();
    expect(alarms).toEqual([expect.stringContaining('is about to expire and was not renewed')]);
    expect(alarms[0]).toContain(fingerprintOf(etcd.cert));
    secret.turn(contents(ours.issue({ commonName: 'etcd', notAfterMs: Date.now() + 90 * day })));
    await source.read();
    expect(alarms).toHaveLength(1);
  });

  test('are given again when a mounted secret is turned, also under a server whose connections go on', async () => {
    const secret = new MountedSecret();
    secret.turn(contents(etcd));
    const source = new TlsSource(files(), { clock: systemClock, log });
    const stop = new AbortController();
    const seen: TlsMaterial[] = [];
    const next = ours.issue({ commonName: 'etcd' });
    await serving({ ...etcd }, async (port, server) => {
      const client = await readTlsFiles({ trustedCaFile: write('trusted.crt', ours.cert) });
      const dial = () => connectTls({ host: '127.0.0.1', port }, client, Date.now(), never);
      const before = await dial();
      for await (const material of source.follow(stop.signal)) {
        seen.push(material);
        server.setSecureContext(secureContextOf(material));
        if (seen.length === 1) secret.turn(contents(next));
        else stop.abort();
      }
      const after = await dial();
      expect(before.peer?.fingerprint).toBe(fingerprintOf(etcd.cert));
      expect(after.peer?.fingerprint).toBe(fingerprintOf(next.cert));
      expect(before.socket.destroyed).toBe(false);
      before.socket.destroy();
      after.socket.destroy();
    });
    expect(seen.map(({ certificate }) => certificate?.fingerprint)).toEqual(
      [etcd, next].map(({ cert }) => fingerprintOf(cert)),
    );
  });

  test('are given again when they are written in place', async () => {
    const written = { trustedCaFile: write('ca.crt', ours.cert), ...writeCertificate(folder, 'tls', etcd) };
    const next = ours.issue({ commonName: 'etcd' });
    const source = new TlsSource(written, { clock: systemClock, log });
    const stop = new AbortController();
    const seen: (string | undefined)[] = [];
    for await (const { certificate } of source.follow(stop.signal)) {
      seen.push(certificate?.fingerprint);
      if (seen.length === 1) writeCertificate(folder, 'tls', next);
      if (certificate?.fingerprint === fingerprintOf(next.cert)) stop.abort();
    }
    expect(seen).toEqual([fingerprintOf(etcd.cert), fingerprintOf(next.cert)]);
  });

  test('stay the last good ones while the new ones do not belong together, with one warning', async () => {
    const secret = new MountedSecret();
    secret.turn(contents(etcd));
    const source = new TlsSource(files(), { clock: systemClock, log });
    const first = await source.read();
    expect(await source.read()).toBe(first);
    secret.turn({ ...contents(etcd), 'tls.key': strange.key });
    expect(await source.read()).toBe(first);
    expect(await source.read()).toBe(first);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain('the last good ones stay in use');
    expect(logged[0]).not.toContain('PRIVATE');
    const next = ours.issue({ commonName: 'etcd' });
    secret.turn(contents(next));
    expect((await source.read()).certificate?.fingerprint).toBe(fingerprintOf(next.cert));
  });

  test('are an error when they never could be used', async () => {
    const source = new TlsSource({ trustedCaFile: join(folder, 'later.crt') }, { clock: systemClock, log });
    await expect(source.read()).rejects.toThrow(/later.crt cannot be read: there is no such file/);
    write('later.crt', ours.cert);
    expect((await source.read()).authorities).toHaveLength(1);
  });

  test('are told of when they have expired already', async () => {
    const expired = ours.issue({ commonName: 'etcd', notBeforeMs: Date.now() - 2 * day, notAfterMs: Date.now() - day });
    const source = new TlsSource(writeCertificate(folder, 'old', expired), { clock: systemClock, log });
    await source.read();
    expect(logged.join()).toMatch(/Our certificate is of no use.*has expired/);
    expect(logged.join()).toContain(fingerprintOf(expired.cert));
  });
});
