import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CommandContext } from '../../../cli/command.ts';
import { admitCilium } from '../../../clustermesh/peers/cilium/index.ts';
import { runCommandLine } from '../../../cli/run.ts';
import { tree } from '../../../cli/tree.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { TestAuthority } from '../../support/certificates.ts';
import { type TestCluster, filesIn, stateHash, testCluster } from '../../support/peer-clusters.ts';

const clock = systemClock;
const umask = process.umask();
let root: string;
let east: TestCluster;
let west: TestCluster;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'isthmus-cli-peer-'));
  east = await testCluster(root, { name: 'east', id: 1 }, clock);
  west = await testCluster(root, { name: 'west', id: 2 }, clock);
});
afterEach(async () => {
  await east[Symbol.asyncDispose]();
  await west[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
  // Commands on the folder set it for what they write.
  process.umask(umask);
});

async function peer(
  cluster: TestCluster,
  words: readonly string[],
  stdin: Iterable<Uint8Array> = [],
  command: readonly string[] = ['peer'],
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ['', ''];
  const context: CommandContext = {
    stdout: (text) => void (out += text),
    stderr: (text) => void (err += text),
    stdin: async function* () {
      yield* stdin;
    },
    env: {},
    clock,
    signal: new AbortController().signal,
    terminal: undefined,
  };
  const code = await runCommandLine(
    tree,
    [...command, ...words, '--peer-dir', cluster.folder.paths.root],
    '0',
    context,
  );
  return { code, out, err };
}

const invitation = async (): Promise<Uint8Array> =>
  Buffer.from((await peer(east, ['invite', 'west', '--id', '2'])).out);

describe('isthmus peer leave', () => {
  test('says what can be done when the peer cannot be told, whatever the reason', async () => {
    expect((await peer(west, ['accept'], [await invitation()])).code).toBe(0);
    // It answers, but shows a certificate of somebody else's.
    const record = await west.folder.peer('east');
    if (!record) throw new Error('They are no peers');
    await west.folder.putPeer({ ...record, authorities: new TestAuthority('somebody else').cert });
    for (const end of [async () => undefined, async () => await east[Symbol.asyncDispose]()]) {
      await end();
      const before = stateHash(west.folder.paths.root);
      const { code, err } = await peer(west, ['leave', 'east']);
      expect(code).toBe(1);
      expect(err).toContain('isthmus peer leave east --dead forgets it without telling it');
      expect(stateHash(west.folder.paths.root)).toBe(before);
    }
  });

  test('forgets an acceptance that broke off', async () => {
    const bundle = await invitation();
    const before = stateHash(west.folder.paths.root);
    await east[Symbol.asyncDispose]();
    expect((await peer(west, ['accept'], [bundle])).code).toBe(1);
    expect(filesIn(west.folder.paths.pendingFolder)).toHaveLength(1);
    expect(await peer(west, ['leave', 'east'])).toMatchObject({
      code: 0,
      out: 'What was begun with east is forgotten here\n',
    });
    expect(stateHash(west.folder.paths.root)).toBe(before);
    expect((await peer(west, ['leave', 'east'])).code).toBe(2);
    expect((await peer(west, ['leave', '../pending/east'])).code).toBe(2);
  });
});

test.each([
  ['from standard input', [] as string[]],
  ['from a file without an end', ['/dev/zero']],
])('isthmus peer accept takes no more than an invitation can be, %s', async (_, words) => {
  const endless = (function* () {
    for (;;) yield new Uint8Array(65_536);
  })();
  const { code, err } = await peer(west, ['accept', ...words], endless);
  expect(code).toBe(2);
  expect(err).toMatch(/has more than \d+ bytes/);
});

test.each(['0s', '721h', '9999999999h'])('isthmus peer invite --valid-for %s is refused', async (duration) => {
  const { code, err } = await peer(east, ['invite', 'west', '--valid-for', duration]);
  expect(code).toBe(2);
  expect(err).toContain('720h at most');
  expect(await east.folder.invitations()).toEqual([]);
});

describe('isthmus peer init once more', () => {
  const again = (words: readonly string[]): ReturnType<typeof peer> =>
    peer(east, ['init', '--cluster-name', 'east', '--cluster-id', '1', ...words]);

  test('changes what is given and leaves the rest', async () => {
    expect((await again(['--namespace', 'cilium'])).code).toBe(0);
    expect((await again(['--san', 'store.example'])).code).toBe(0);
    const server = await east.folder.certificate('server');
    expect(server?.names).toEqual(
      expect.arrayContaining(['DNS:clustermesh-apiserver.cilium.svc', 'DNS:store.example']),
    );
  });

  test('does not make another mesh of it', async () => {
    expect(await again(['--max-connected-clusters', '511'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('belongs to a mesh of 255 clusters'),
    });
  });

  test('with the authority of somebody else finds it from wherever it is started, and does not renew that', async () => {
    const issuer = new TestAuthority('issuer');
    const directory = join(root, 'issuer');
    mkdirSync(directory);
    writeFileSync(join(directory, 'tls.crt'), issuer.cert);
    writeFileSync(join(directory, 'tls.key'), issuer.key);
    expect((await again(['--ca-dir', relative(process.cwd(), directory)])).code).toBe(0);
    expect(readFileSync(east.folder.paths.ownFile, 'utf8')).toContain(JSON.stringify(directory));
    expect(await peer(east, ['rotate', '--authority'])).toMatchObject({
      code: 2,
      err: expect.stringContaining(`replace tls.crt and tls.key in ${directory}`),
    });
  });
});

test('isthmus peer list says in time what nobody renews', async () => {
  expect((await peer(east, ['invite', 'north', '--id', '3', '--for', 'cilium'])).code).toBe(0);
  const record = await east.folder.peer('north');
  if (!record) throw new Error('north was not let in');
  const list = async (days: number): Promise<string> => {
    const admitted = record.admitted.map((one) => ({ ...one, notAfterMs: clock.now() + days * 86_400_000 }));
    await east.folder.putPeer({ ...record, endpoints: ['https://north.example:2379'], admitted });
    return (await peer(east, ['list'])).out;
  };
  expect(await list(40)).not.toContain('--for cilium');
  expect(await list(20)).toContain('isthmus peer invite north --for cilium makes another');
});

describe('isthmus apply', () => {
  test('says of a directory that it is none of its files', async () => {
    const { code, err } = await peer(east, ['-f', root], [], ['apply']);
    expect(code).toBe(2);
    expect(err).toContain(`${root} is a directory: expected a file\n`);
  });

  const apply = (words: readonly string[], text: string): ReturnType<typeof peer> =>
    peer(east, ['-f', '-', ...words], [Buffer.from(text)], ['apply']);
  const declared = JSON.stringify({
    apiVersion: 'isthmus.io/v1',
    kind: 'Peer',
    metadata: { name: 'south' },
    spec: { id: 3, endpoints: ['https://south.example:2379'], authorities: new TestAuthority('of south').cert },
  });

  test.each(['', '---\n# nothing\n---\n', 'null\n'])('refuses an input that declares nothing: %j', async (text) => {
    expect((await apply([], declared)).code).toBe(0);
    const before = stateHash(east.folder.paths.root);
    for (const words of [['--prune'], [], ['--dry-run', '--prune']]) {
      const { code, out, err } = await apply(words, text);
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toContain('Standard input declares nothing\n');
      expect(err).toContain('--allow-empty');
    }
    expect(stateHash(east.folder.paths.root)).toBe(before);
    expect((await apply(['--allow-empty'], text)).code).toBe(0);
    expect(stateHash(east.folder.paths.root)).toBe(before);
    expect((await apply(['--prune', '--allow-empty'], text)).out).toMatch(/south +remove/);
    expect(await east.folder.peer('south')).toBeUndefined();
  });
});

describe('a new authority', () => {
  test('is said by rotate and list, with when it signs and who does not know it', async () => {
    expect((await peer(east, ['list'])).out).not.toContain('authority');
    await admitCilium(east.folder, { name: 'north', id: 3, nowMs: clock.now() });
    const { code, out } = await peer(east, ['rotate', '--authority']);
    expect(code).toBe(0);
    expect(out).toMatch(/^authority: a new one is trusted since \S+; it signs from \S+ on, once every peer knows it$/m);
    const listed = await peer(east, ['list']);
    expect(listed.out).toContain('authority: a new one is trusted since');
    expect(listed.out).toContain(
      '  not known to north: isthmus peer invite north --for cilium, and kubectl apply there',
    );
    const { authority } = JSON.parse((await peer(east, ['list', '-o', 'json'])).out) as {
      readonly authority: { readonly since: string; readonly signsFrom: string };
    };
    expect(authority).toMatchObject({ phase: 'announced', lacking: [{ name: 'north' }], declared: [] });
    expect(Date.parse(authority.signsFrom) - Date.parse(authority.since)).toBe(24 * 3_600_000);
    await peer(east, ['invite', 'north', '--for', 'cilium']);
    expect((await peer(east, ['list'])).out).not.toContain('not known to north');
  });
});
