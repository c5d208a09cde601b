import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { CommandContext } from '../../../cli/command.ts';
import { runCommandLine } from '../../../cli/run.ts';
import { tree } from '../../../cli/tree.ts';
import {
  assignedPodCidrs,
  clusterConfigKey,
  copierAliveKey,
  copyReportKey,
  encodeCopyReport,
  encodeClusterConfig,
  encodeTime,
  heartbeatKey,
  meshUsers,
  syncedKey,
} from '../../../clustermesh/index.ts';
import { type Engine, EngineStore, MemoryEngine, type Store, Users, serveEtcd } from '../../../kvstore/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { TestAuthority, fingerprintOf, writeCertificate } from '../../support/certificates.ts';
import { type TcpProxy, startTcpProxy } from '../../support/tcp-proxy.ts';

jest.setTimeout(60_000);

const day = 86_400_000;
const clock = systemClock;
const log = silentLogger;

describe('isthmus troubleshoot', () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-troubleshoot-'));
  const directory = join(folder, 'peers');
  const files = join(folder, 'files');
  const ours = new TestAuthority('Mesh CA');
  const strange = new TestAuthority('Other CA');
  let engine: Engine;
  let store: Store;
  let proxy: TcpProxy;
  let port: number;
  let close: () => Promise<void>;

  /** Files of a client, as a configuration names them. */
  const client = (name: string, authority = ours, wish: { notAfterMs?: number; notBeforeMs?: number } = {}): string => {
    const { certFile, keyFile } = writeCertificate(
      files,
      name,
      authority.issue({ commonName: name, names: [], ...wish }),
    );
    return `cert-file: ${certFile}\nkey-file: ${keyFile}\n`;
  };
  const trusting = (authority = ours): string => {
    const file = join(files, `${authority === ours ? 'ours' : 'strange'}.crt`);
    writeFileSync(file, authority.cert);
    return `trusted-ca-file: ${file}\n`;
  };
  const peer = (text: string, name = 'west'): void => writeFileSync(join(directory, name), text);
  const at = (...ports: number[]): string =>
    `endpoints:\n${ports.map((one) => `- https://127.0.0.1:${one}\n`).join('')}`;
  const run = async (...words: string[]): Promise<{ code: number; out: string; err: string }> => {
    let out = '';
    let err = '';
    const context: CommandContext = {
      stdout: (text) => void (out += text),
      stderr: (text) => void (err += text),
      env: {},
      clock,
      signal: new AbortController().signal,
      terminal: undefined,
    };
    const code = await runCommandLine(
      tree,
      ['troubleshoot', '--clustermesh-config', directory, '--timeout', '20s', ...words],
      '0',
      context,
    );
    return { code, out, err };
  };
  interface Shown {
    readonly ok: boolean;
    readonly broken?: string;
    readonly cause?: string;
    readonly next?: string;
    readonly findings: readonly { layer: string; state: string; facts?: { problem?: string } }[];
  }
  const diagnose = async (...words: string[]): Promise<Shown> => {
    const { code, out } = await run('west', '-o', 'json', ...words);
    const [shown] = JSON.parse(out) as Shown[];
    if (!shown) throw new Error('Nothing was said of west');
    expect(code).toBe(shown.ok ? 0 : 1);
    if (!shown.ok) {
      // The walk ends where it is broken, and says what to do.
      expect(shown.findings.at(-1)).toMatchObject({ layer: shown.broken, state: 'broken' });
      expect(shown.next).toMatch(/^(ls|getent|nc|openssl|curl|isthmus) /);
    }
    return shown;
  };

  beforeAll(async () => {
    mkdirSync(directory, { recursive: true });
    mkdirSync(files, { recursive: true });
    engine = new MemoryEngine({ clock });
    store = new EngineStore(engine, { clock, endpoint: 'memory' });
    const caFile = join(folder, 'served-ca.crt');
    writeFileSync(caFile, ours.cert);
    const server = writeCertificate(
      folder,
      'server',
      ours.issue({ commonName: 'store', names: ['127.0.0.1', 'localhost'] }),
    );
    const builtIn = meshUsers({ clusterName: 'west', podCidrsOf: assignedPodCidrs(engine) });
    const users = await Users.open({ trustedCaFile: caFile, builtIn }, { clock, log });
    const served = await serveEtcd({
      engine,
      listen: { host: '127.0.0.1', port: 0 },
      tls: { ...server, clientCertAuth: true },
      users,
      clock,
      log,
    });
    proxy = await startTcpProxy({ host: '127.0.0.1', port: served.address().port });
    port = proxy.port;
    close = async () => {
      await proxy[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
      await users[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    };
  });
  afterAll(async () => {
    await close();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    await proxy.set('pass');
    rmSync(directory, { recursive: true });
    mkdirSync(directory);
    peer(at(port) + trusting() + client('remote'));
    await store.put(
      clusterConfigKey('west'),
      encodeClusterConfig({ id: 2, syncedCanaries: true, cached: false, maxConnectedClusters: 255 }),
    );
    for (const kind of ['nodes', 'services', 'ip', 'identities'] as const)
      await store.put(syncedKey('west', kind), encodeTime(clock.now()));
    await store.put(heartbeatKey, encodeTime(clock.now()));
  });

  test('goes through every layer of a cluster that is well', async () => {
    const { code, out } = await run();
    expect(out.replaceAll(/[0-9A-F:]{95}|\d{4}-\S+Z|\d+ s ago|\d{4,5}/g, '…')).toBe(
      `Cluster "west" (${directory}/west): every layer answers
  ✅ configuration   1 endpoint, our certificate is CN=remote (SHA-256 …)
  ✅ resolve         127.0.0.1 is an address
  ✅ tcp             connected to 127.0.0.1 port …
  ✅ tls             TLSv1.3 with CN=store (SHA-256 …), valid until …
  ✅ auth            the store knows us as remote
  ✅ version         speaks as etcd 3.6.0
  ✅ cluster-config  id 2, its own store, with canaries
  ✅ canaries        4 sets are complete
  ✅ heartbeat       …
`.replace('3.6.0', /speaks as etcd (\S+)/.exec(out)?.[1] ?? ''),
    );
    expect(code).toBe(0);
  });

  test.each([
    { when: 'is no YAML', text: () => 'endpoints: [', cause: 'not YAML', look: join(directory, 'west') },
    {
      when: 'names a file that is not there',
      text: () => `${at(1)}trusted-ca-file: /nowhere/ca.crt\n`,
      cause: '/nowhere/ca.crt cannot be read',
      look: '/nowhere/ca.crt',
    },
  ])('a configuration that $when', async ({ text, cause, look }) => {
    peer(text());
    const next = `ls -lL ${look}`;
    expect(await diagnose()).toMatchObject({ broken: 'configuration', cause: expect.stringContaining(cause), next });
  });

  test('a certificate whose key is another one', async () => {
    client('one');
    client('two');
    peer(`${at(port)}${trusting()}cert-file: ${files}/one.crt\nkey-file: ${files}/two.key\n`);
    expect(await diagnose()).toMatchObject({
      broken: 'configuration',
      cause: expect.stringContaining('is not the private key of the certificate'),
    });
  });

  test('a name that nobody knows', async () => {
    peer(`endpoints:\n- https://west.mesh.invalid:${port}\n${trusting()}${client('remote')}`);
    expect(await diagnose()).toMatchObject({
      broken: 'resolve',
      cause: expect.stringContaining('west.mesh.invalid cannot be resolved'),
      next: 'getent ahosts west.mesh.invalid',
    });
  });

  test('an address where nobody listens, and one that says nothing', async () => {
    await proxy.set('refuse');
    expect(await diagnose()).toMatchObject({ broken: 'tcp', cause: expect.stringContaining('ECONNREFUSED') });
    await proxy.set('black-hole');
    expect(await diagnose('--timeout', '1s')).toMatchObject({ broken: 'tls', cause: 'no answer in time' });
  });

  test.each([
    {
      when: 'a server that nobody whom we trust has signed',
      problem: 'wrong-authority',
      config: () => trusting(strange) + client('remote'),
    },
    { when: 'a client that shows no certificate', problem: 'refused', config: () => trusting() },
    { when: 'a client of another authority', problem: 'refused', config: () => trusting() + client('remote', strange) },
    {
      when: 'a client whose time is over',
      problem: 'refused',
      config: () =>
        trusting() + client('remote', ours, { notBeforeMs: Date.now() - 2 * day, notAfterMs: Date.now() - day }),
    },
  ])('$when', async ({ problem, config }) => {
    peer(at(port) + config());
    const { broken, findings } = await diagnose();
    expect(broken).toBe('tls');
    expect(findings.at(-1)?.facts?.problem).toBe(problem);
  });

  test('a server that has another name', async () => {
    const other = await startTcpProxy({ host: '127.0.0.1', port }, { host: '127.0.0.2' });
    try {
      peer(`endpoints:\n- https://127.0.0.2:${other.port}\n${trusting()}${client('remote')}`);
      const { broken, cause, next, findings } = await diagnose();
      expect(broken).toBe('tls');
      expect(findings.at(-1)?.facts?.problem).toBe('wrong-name');
      expect(next).toBe(`openssl s_client -connect 127.0.0.2:${other.port} -showcerts </dev/null`);
      expect(cause).toContain('is not for "127.0.0.2", but for');
      expect(cause).toContain(fingerprintOf(ours.cert));
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  test('a server of another name than the one that is expected at its address', async () => {
    peer(`${at(port)}server-name: west.mesh.cilium.io\n${trusting()}${client('remote')}`);
    expect(await diagnose()).toMatchObject({
      broken: 'tls',
      cause: expect.stringContaining('is not for "west.mesh.cilium.io", but for'),
      next: `openssl s_client -connect 127.0.0.1:${port} -servername west.mesh.cilium.io -showcerts </dev/null`,
    });
  });

  test('a server that is not verified, which is a warning whatever certificate it shows', async () => {
    peer(`${at(port)}${client('remote-verified-not')}insecure-skip-tls-verify: true\n`);
    const { findings } = await diagnose();
    expect(findings.filter(({ layer }) => layer === 'configuration')).toContainEqual({
      layer: 'configuration',
      state: 'warning',
      detail: expect.stringContaining('insecure-skip-tls-verify: whoever answers is believed'),
    });
  });

  test('a server whose time is over', async () => {
    const old = { notBeforeMs: Date.now() - 2 * day, notAfterMs: Date.now() - day };
    const { cert, key } = ours.issue({ commonName: 'store', names: ['127.0.0.1'], ...old });
    const server = createTlsServer({ cert, key }, (socket) => socket.on('error', () => undefined).end());
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      peer(at((server.address() as AddressInfo).port) + trusting() + client('remote'));
      const { broken, cause, findings } = await diagnose();
      expect(broken).toBe('tls');
      expect(findings.at(-1)?.facts?.problem).toBe('expired');
      expect(cause).toContain('has expired on');
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('a user whom the store does not know', async () => {
    peer(at(port) + trusting() + client('stranger'));
    const { broken, cause } = await diagnose();
    expect(broken).toBe('auth');
    expect(cause).toContain('stranger');
  });

  test('an endpoint that says https, where nobody speaks TLS, whether that one answers or hangs up', async () => {
    for (const answer of [true, false]) {
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.on('data', (bytes: Buffer) => {
          if (bytes.toString('latin1').startsWith('GET ')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}');
          else if (answer) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
          else socket.destroy();
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port: plain } = server.address() as AddressInfo;
      try {
        peer(at(plain) + trusting() + client('remote'));
        expect(await diagnose()).toMatchObject({
          broken: 'tls',
          cause: expect.stringMatching(/speaks no TLS, but plain HTTP: .* http:\/\/127\.0\.0\.1/),
          next: `curl -sS http://127.0.0.1:${plain}/version`,
        });
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    }
  });

  test('an endpoint that says http, where somebody speaks TLS', async () => {
    peer(`endpoints:\n- http://127.0.0.1:${port}\n`);
    expect(await diagnose()).toMatchObject({
      broken: 'tls',
      cause: expect.stringContaining(
        `speaks TLS, and the endpoint is plain http: the configuration has to say https://127.0.0.1:${port}`,
      ),
      next: `openssl s_client -connect 127.0.0.1:${port} -showcerts </dev/null`,
    });
  });

  test('something that listens and is no etcd', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', () => socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      peer(`endpoints:\n- http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
      expect(await diagnose('--timeout', '1s')).toMatchObject({
        broken: 'version',
        cause: expect.stringContaining('does not speak as etcd: status 404'),
      });
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('a cluster that has another name, no configuration, a wrong one, or our id', async () => {
    peer(at(port) + trusting() + client('remote'), 'vest');
    const { code, out } = await run('vest');
    expect(out).toContain('Broken at cluster-config');
    expect(code).toBe(1);
    expect(await diagnose('--cluster-id', '2')).toMatchObject({
      broken: 'cluster-config',
      cause: expect.stringContaining('another id than that of the local cluster'),
    });
    await store.put(clusterConfigKey('west'), '{"id":2,"capabilities":{"endpointSlicesExportMode":"sideways"}}');
    expect(await diagnose()).toMatchObject({ broken: 'cluster-config', cause: expect.stringContaining('sideways') });
    await store.delete(clusterConfigKey('west'));
    expect(await diagnose()).toMatchObject({
      broken: 'cluster-config',
      cause: expect.stringContaining('the file name must be the cluster'),
    });
  });

  test('canaries that are missing', async () => {
    await store.delete(syncedKey('west', 'ip'));
    await store.delete(syncedKey('west', 'nodes'));
    expect(await diagnose()).toMatchObject({
      broken: 'canaries',
      cause: 'the cluster has not written all of its nodes, ip yet',
    });
  });

  test('a heartbeat that is old, or not there', async () => {
    await store.put(heartbeatKey, encodeTime(clock.now() - 200_000));
    expect(await diagnose()).toMatchObject({
      broken: 'heartbeat',
      cause: expect.stringMatching(/^silent for 20\d s$/),
    });
    await store.delete(heartbeatKey);
    expect(await diagnose()).toMatchObject({ broken: 'heartbeat', cause: expect.stringContaining('there is none') });
  });

  test('a copy whose kvstoremesh says that the cluster itself is gone, or says nothing any more', async () => {
    const config = { id: 2, syncedCanaries: true, cached: true, maxConnectedClusters: 255 };
    await store.put(clusterConfigKey('west'), encodeClusterConfig(config));
    for (const kind of ['nodes', 'services', 'ip', 'identities'] as const)
      await store.put(syncedKey('west', kind, 'cache'), encodeTime(clock.now()));
    peer(at(port) + trusting() + client('local-west'));
    const copies = async (): Promise<unknown> => {
      const { broken, cause, findings } = await diagnose();
      return broken === undefined ? findings.at(-1) : { broken, cause };
    };
    expect(await copies()).toMatchObject({ layer: 'copies', state: 'warning' });
    await store.put(copierAliveKey, encodeTime(clock.now()));
    expect(await copies()).toMatchObject({ broken: 'copies', cause: expect.stringContaining('does not copy it') });
    const report = { cluster: 'west', connected: true, synced: true, stale: false, failures: 0 };
    await store.put(copyReportKey('west'), encodeCopyReport(report));
    expect(await copies()).toMatchObject({ layer: 'copies', state: 'ok' });
    await store.put(copyReportKey('west'), encodeCopyReport({ ...report, connected: false, failure: 'Gone' }));
    expect(await copies()).toEqual({ broken: 'copies', cause: 'Its kvstoremesh says: not connected (Gone)' });
    await store.put(copierAliveKey, encodeTime(clock.now() - 200_000));
    expect(await copies()).toMatchObject({ broken: 'copies', cause: expect.stringMatching(/silent for 20\d s/) });
    await store.deletePrefix('isthmus/v1/kvstoremesh/');
  });

  test('one endpoint of two that is dead is a warning only', async () => {
    const dead = await startTcpProxy({ host: '127.0.0.1', port: 1 });
    const deadPort = dead.port;
    await dead[Symbol.asyncDispose]();
    peer(at(deadPort, port) + trusting() + client('remote'));
    const { ok, findings } = await diagnose();
    expect(ok).toBe(true);
    expect(findings.filter(({ state }) => state === 'broken').map(({ layer }) => layer)).toEqual(['tcp']);
  });

  test('is not content with a configuration that nobody follows, since its file has no cluster’s name', async () => {
    expect((await run()).code).toBe(0);
    peer(at(port), 'North_1');
    for (const words of [[], ['-o', 'json']]) {
      const { code, err } = await run(...words);
      expect(code).toBe(1);
      expect(err).toContain(`${directory}/North_1 is a configuration under no cluster name: nobody follows it\n`);
    }
    expect((await run('west')).code).toBe(0);
  });

  test('is not content with a file that holds no configuration at present', async () => {
    peer('', 'north');
    for (const words of [[], ['-o', 'json'], ['north']]) {
      const { code, err } = await run(...words);
      expect(code).toBe(1);
      expect(err).toContain(`${directory}/north is empty: whoever follows north goes on with what stood there\n`);
    }
    expect((await run('west')).code).toBe(0);
  });

  test('refuses names without a configuration, and says nothing secret', async () => {
    const { code, err } = await run('wets');
    expect(code).toBe(2);
    expect(err).toContain('did you mean west?');
    peer(`${at(port)}username: root\npassword: hunter2\n${trusting()}`);
    const { out } = await run('-o', 'json');
    expect(out).not.toContain('hunter2');
    rmSync(directory, { recursive: true });
    mkdirSync(directory);
    expect(await run()).toMatchObject({ code: 0, out: `No cluster is configured in ${directory}\n` });
  });
});
