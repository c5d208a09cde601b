import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { Users, restoreSnapshot } from '../../../kvstore/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { TestAuthority, writeCertificate } from '../../support/certificates.ts';
import { etcdctl, spawnEtcdctl } from '../../support/etcd.ts';
import { needs } from '../../support/probe.ts';
import { type EngineKind, serveEngine } from '../../support/served-engine.ts';

const describeIf = needs('etcd');
const kinds: readonly EngineKind[] = ['memory', 'embedded'];
const timeoutMs = 120_000;

interface Ctl {
  /** Standard output of a command that succeeds. */
  run(...args: readonly string[]): Promise<string>;
  runWith(input: string, ...args: readonly string[]): Promise<string>;
  /** Last line of standard error of a command that fails. */
  fail(...args: readonly string[]): Promise<string>;
}

function ctl(endpoint: string): Ctl {
  const runWith = async (input: string, ...args: readonly string[]): Promise<string> => {
    const result = await etcdctl(endpoint, args, input);
    expect(result).toMatchObject({ code: 0 });
    return result.stdout;
  };
  return {
    runWith,
    run: (...args) => runWith('', ...args),
    fail: async (...args) => {
      const result = await etcdctl(endpoint, args);
      expect(result.code).not.toBe(0);
      return result.stderr.trim().split('\n').at(-1) ?? '';
    },
  };
}

for (const kind of kinds) {
  describeIf(`etcdctl 3.6 against the ${kind} engine`, () => {
    test(
      'puts, gets, lists and deletes',
      async () => {
        await using served = await serveEngine(kind);
        const { run } = ctl(served.endpoint);
        expect(await run('put', 'a/1', 'one')).toBe('OK\n');
        expect(await run('put', 'a/2', 'two')).toBe('OK\n');
        expect(await run('put', 'b', 'three')).toBe('OK\n');
        expect(await run('put', 'b', 'four', '--prev-kv')).toBe('OK\nb\nthree\n');
        expect(await run('get', 'a/1')).toBe('a/1\none\n');
        expect(await run('get', 'nothing')).toBe('');
        expect(await run('get', '--prefix', 'a/', '--keys-only')).toBe('a/1\n\na/2\n\n');
        expect(await run('get', '--prefix', '', '--order=DESCEND', '--sort-by=MODIFY', '--limit=1')).toBe('b\nfour\n');
        expect(await run('get', '--from-key', 'a/2', '--print-value-only')).toBe('two\nfour\n');
        expect(await run('get', '--prefix', '', '--count-only', '-w', 'fields')).toContain('"Count" : 3');
        expect(JSON.parse(await run('get', 'b', '-w', 'json'))).toMatchObject({
          header: { revision: 5, raft_term: 1 },
          kvs: [{ key: 'Yg==', create_revision: 4, mod_revision: 5, version: 2, value: 'Zm91cg==' }],
          count: 1,
        });
        expect(await run('get', 'b', '--rev=4', '--print-value-only')).toBe('three\n');
        expect(await run('del', 'a/', '--prefix', '--prev-kv')).toBe('2\na/1\none\na/2\ntwo\n');
        expect(await run('del', 'a/', '--prefix')).toBe('0\n');
      },
      timeoutMs,
    );

    test(
      'runs transactions',
      async () => {
        await using served = await serveEngine(kind);
        const { run, runWith } = ctl(served.endpoint);
        await run('put', 'a', '1');
        const text = 'value("a") = "1"\n\nput a 2\nget a\n\nput a 3\n\n';
        expect(await runWith(text, 'txn')).toBe('SUCCESS\n\nOK\n\na\n2\n');
        expect(await runWith(text, 'txn')).toBe('FAILURE\n\nOK\n');
        expect(await run('get', 'a', '--print-value-only')).toBe('3\n');
      },
      timeoutMs,
    );

    test(
      'grants, shows, lists and revokes leases',
      async () => {
        await using served = await serveEngine(kind);
        const { run, fail } = ctl(served.endpoint);
        const granted = /^lease ([0-9a-f]+) granted with TTL\(60s\)\n$/.exec(await run('lease', 'grant', '60'));
        const id = granted?.[1] ?? '';
        await run('put', 'k', 'v', `--lease=${id}`);
        expect(await run('lease', 'list')).toBe(`found 1 leases\n${id}\n`);
        expect(await run('lease', 'timetolive', id, '--keys')).toMatch(
          new RegExp(String.raw`^lease ${id} granted with TTL\(60s\), remaining\(\d+s\), attached keys\(\[k\]\)\n$`),
        );
        expect(await run('lease', 'keep-alive', '--once', id)).toBe(`lease ${id} keepalived with TTL(60)\n`);
        expect(await run('lease', 'revoke', id)).toBe(`lease ${id} revoked\n`);
        expect(await run('get', 'k')).toBe('');
        expect(await fail('lease', 'revoke', id)).toContain('etcdserver: requested lease not found');
        expect(await fail('put', 'k', 'v', '--lease=123')).toBe('Error: etcdserver: requested lease not found');
      },
      timeoutMs,
    );

    test(
      'compacts, and is told what is compacted or yet to come',
      async () => {
        await using served = await serveEngine(kind);
        const { run, fail } = ctl(served.endpoint);
        for (const value of ['1', '2', '3']) await run('put', 'a', value);
        expect(await run('compaction', '3')).toBe('compacted revision 3\n');
        expect(await fail('get', 'a', '--rev=2')).toBe('Error: etcdserver: mvcc: required revision has been compacted');
        expect(await fail('get', 'a', '--rev=9')).toBe(
          'Error: etcdserver: mvcc: required revision is a future revision',
        );
        expect(await fail('compaction', '2')).toBe('Error: etcdserver: mvcc: required revision has been compacted');
        expect(await fail('watch', 'a', '--rev=2')).toBe('Error: watch is canceled by the server');
      },
      timeoutMs,
    );

    test(
      'watches history and what happens then',
      async () => {
        await using served = await serveEngine(kind);
        const { run } = ctl(served.endpoint);
        await run('put', 'w/a', '1');
        const child = await spawnEtcdctl(served.endpoint, ['watch', 'w/', '--prefix', '--rev=1', '--prev-kv']);
        const expected = 'PUT\nw/a\n1\nPUT\nw/a\n1\nw/a\n2\nDELETE\nw/a\n2\nw/a\n\n';
        let printed = '';
        const seen = new Promise<void>((resolve) => {
          child.stdout?.setEncoding('utf8').on('data', (text: string) => {
            printed += text;
            if (printed.length >= expected.length) resolve();
          });
        });
        await run('put', 'w/a', '2');
        await run('put', 'other', 'x');
        await run('del', 'w/a');
        await seen;
        child.kill('SIGKILL');
        expect(printed).toBe(expected);
      },
      timeoutMs,
    );

    test(
      'shows members, status, health, alarms and that there are no users',
      async () => {
        await using served = await serveEngine(kind, { memberName: 'here' });
        const { run, fail } = ctl(served.endpoint);
        await run('put', 'a', '1');
        expect(await run('member', 'list')).toMatch(
          new RegExp(String.raw`^[0-9a-f]+, started, here, , http://${served.endpoint}, false\n$`),
        );
        expect(JSON.parse(await run('endpoint', 'status', '-w', 'json'))).toMatchObject([
          { Status: { header: { revision: 2 }, version: '3.6.16', raftTerm: 1 } },
        ]);
        expect(await run('endpoint', 'status', '-w', 'table')).toContain('3.6.16');
        expect((await etcdctl(served.endpoint, ['endpoint', 'health'])).code).toBe(0);
        expect(await run('alarm', 'list')).toBe('');
        expect(await run('auth', 'status')).toContain('Authentication Status: false');
        expect(await fail('move-leader', '1')).toContain('Unimplemented desc = unknown method MoveLeader');
        expect(await run('lock', 'name', 'echo', 'held')).toBe('held\n');
        // With a user name the Go client first asks for a token, is told that there are no users, and goes on.
        expect(await run('--user=somebody:secret', 'get', 'a')).toBe('a\n1\n');
      },
      timeoutMs,
    );

    test(
      'defragments, disarms and hashes',
      async () => {
        await using served = await serveEngine(kind);
        const { run } = ctl(served.endpoint);
        await run('put', 'a', '1');
        expect(await run('defrag')).toContain('Finished defragmenting etcd member');
        expect(await run('alarm', 'disarm')).toBe('');
        const hashes = async (): Promise<unknown> => JSON.parse(await run('endpoint', 'hashkv', '-w', 'json'));
        const before = await hashes();
        expect(before).toMatchObject([{ HashKV: { hash_revision: 2, header: { revision: 2 } } }]);
        expect(await hashes()).toEqual(before);
        await run('put', 'a', '2');
        expect(await hashes()).not.toMatchObject([{ HashKV: { hash: 0 } }]);
        expect(await run('endpoint', 'hashkv', '--rev=2')).toContain(String(hashIn(before)));
      },
      timeoutMs,
    );

    test(
      'saves a snapshot while it is written to, and it comes back as another store',
      async () => {
        await using served = await serveEngine(kind);
        const { run } = ctl(served.endpoint);
        for (let i = 0; i < 300; i += 1)
          await served.engine.put({ key: Buffer.from(`k/${i}`), value: Buffer.alloc(5000, String(i % 10)) });
        const stop = new AbortController();
        const writing = (async () => {
          while (!stop.signal.aborted) {
            await served.engine.put({ key: Buffer.from('busy'), value: Buffer.from('x') });
            await turn();
          }
        })();
        const folder = mkdtempSync(join(tmpdir(), 'isthmus-snapshot-save-'));
        try {
          const file = join(folder, 'saved');
          expect(await run('snapshot', 'save', file)).toContain(`Snapshot saved at ${file}`);
          const restored = await restoreSnapshot({
            file,
            directory: join(folder, 'store'),
            leaseTtlSeconds: 60,
            clock: systemClock,
            log: silentLogger,
            signal: stop.signal,
          });
          expect(restored.keys).toBeGreaterThanOrEqual(300);
          expect(restored.storeId).not.toBe(restored.from.storeId);
          expect(restored.revision).toBeGreaterThan(served.engine.revision);
        } finally {
          stop.abort();
          await writing;
          rmSync(folder, { recursive: true, force: true });
        }
      },
      timeoutMs,
    );
  });
}

function hashIn(answer: unknown): unknown {
  return (answer as readonly { HashKV: { hash: number } }[])[0]?.HashKV.hash;
}

describeIf('etcdctl 3.6 over TLS', () => {
  test(
    'is the user that its certificate names, and is told what it may not do',
    async () => {
      const authority = new TestAuthority('ctl');
      const folder = mkdtempSync(join(tmpdir(), 'isthmus-ctl-tls-'));
      writeFileSync(join(folder, 'ca.crt'), authority.cert);
      writeFileSync(
        join(folder, 'users.yaml'),
        'users: [{name: reader, role: r}]\nroles: [{name: r, permissions: [{access: read, prefix: open/}]}]',
      );
      try {
        const deps = { clock: systemClock, log: silentLogger };
        const files = { trustedCaFile: join(folder, 'ca.crt'), usersFile: join(folder, 'users.yaml') };
        await using users = await Users.open(files, deps);
        const server = writeCertificate(folder, 'server', authority.issue({ commonName: 'server' }));
        await using served = await serveEngine('memory', { tls: { ...server, clientCertAuth: true }, users });
        const as = (user: string): Ctl => {
          const { certFile, keyFile } = writeCertificate(folder, user, authority.issue({ commonName: user }));
          const flags = [`--cacert=${join(folder, 'ca.crt')}`, `--cert=${certFile}`, `--key=${keyFile}`];
          const { run, runWith, fail } = ctl(`https://${served.endpoint}`);
          return {
            run: (...args) => run(...flags, ...args),
            runWith: (input, ...args) => runWith(input, ...flags, ...args),
            fail: (...args) => fail(...flags, ...args),
          };
        };
        const [root, reader] = [as('root'), as('reader')];
        expect(await root.run('put', 'open/a', '1')).toBe('OK\n');
        expect(await root.run('put', 'shut/a', '1')).toBe('OK\n');
        expect(await root.run('auth', 'status')).toContain('Authentication Status: true');
        expect(await root.run('lock', 'name', 'echo', 'held')).toBe('held\n');
        expect(await reader.run('get', '--prefix', 'open/')).toBe('open/a\n1\n');
        expect(await reader.run('endpoint', 'status', '-w', 'json')).toContain('3.6.16');
        expect((await reader.run('endpoint', 'health')).length).toBeGreaterThanOrEqual(0);
        for (const call of [
          ['get', 'shut/a'],
          ['get', '--prefix', ''],
          ['put', 'open/a', '2'],
          ['del', 'open/a'],
          ['lease', 'grant', '60'],
          ['lease', 'list'],
          ['compaction', '2'],
          ['defrag'],
          ['endpoint', 'hashkv'],
          ['snapshot', 'save', join(folder, 'stolen')],
        ])
          expect(await reader.fail(...call)).toMatch(/permission denied|PermissionDenied|Failed to defrag/);
        expect(await reader.fail('watch', '--prefix', 'shut/')).toBe('Error: watch is canceled by the server');
        expect(existsSync(join(folder, 'stolen'))).toBe(false);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    timeoutMs,
  );
});
