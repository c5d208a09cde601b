import { chmod, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type KubernetesEvent,
  type KubernetesObject,
  type KubernetesSource,
  MemorySource,
  followedKinds,
  kubernetesKinds,
  manifestSource,
  serveSource,
  streamSource,
} from '../../../kubernetes/index.ts';
import { VirtualClock, systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { until } from '../../support/until.ts';

let folder = '';
let stop = new AbortController();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-source-'));
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await rm(folder, { recursive: true, force: true });
});

function namespace(name: string, labels: Record<string, string> = {}): KubernetesObject {
  return { kind: 'Namespace', metadata: { name, namespace: '', uid: '', labels, annotations: {} } };
}

function yaml(...names: readonly string[]): string {
  return names.map((name) => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}\n`).join('---\n');
}

function shown(event: KubernetesEvent): string {
  if (event.type === 'synced') return `synced ${event.kind}`;
  return event.type === 'upsert' ? `+${event.object.metadata.name}` : `-${event.name}`;
}

/** Collects what a source says, and waits for it to have said something. */
class Listener {
  readonly heard: string[] = [];
  readonly done: Promise<void>;
  #check: () => void = () => undefined;

  constructor(source: KubernetesSource) {
    this.done = (async () => {
      for await (const event of source.watch(stop.signal)) {
        this.heard.push(shown(event));
        this.#check();
      }
    })();
  }

  until(what: string): Promise<void> {
    return new Promise((resolve) => {
      this.#check = () => {
        if (this.heard.includes(what)) resolve();
      };
      this.#check();
    });
  }

  take(): string[] {
    return this.heard.splice(0);
  }
}

/** Lets virtual time pass, and real time for the file system, until something holds. */
async function advanceUntil(clock: VirtualClock, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !holds(); i++) {
    await clock.advance(1_000);
    await systemClock.sleep(2);
  }
}

const synced = kubernetesKinds.map((kind) => `synced ${kind}`);
const lastSynced = synced.at(-1) ?? '';

describe('A folder as a source', () => {
  const follow = (): { source: KubernetesSource; listener: Listener; step: (what: string) => Promise<string[]> } => {
    const clock = new VirtualClock();
    const source = manifestSource({ directory: folder, clock });
    const listener = new Listener(source);
    const step = async (what: string): Promise<string[]> => {
      await advanceUntil(clock, () => listener.heard.includes(what));
      return listener.take();
    };
    return { source, listener, step };
  };

  test('hands over what is there, then each kind as synced', async () => {
    await writeFile(join(folder, 'a.yaml'), yaml('a', 'b'));
    const { listener } = follow();
    await listener.until(lastSynced);
    expect(listener.heard).toEqual(['+a', '+b', ...synced]);
  });

  test('follows changes, also by atomic rename, and tells only what differs', async () => {
    await writeFile(join(folder, 'a.yaml'), yaml('a', 'b'));
    const { step } = follow();
    await step(lastSynced);
    await writeFile(join(folder, '.new'), yaml('a', 'c'));
    await rename(join(folder, '.new'), join(folder, 'a.yaml'));
    expect(await step('-b')).toEqual(['+c', '-b']);
    await rm(join(folder, 'a.yaml'));
    expect((await step('-c')).toSorted()).toEqual(['-a', '-c']);
  });

  test('keeps what was accepted of a file that is broken now, and takes its good documents', async () => {
    await writeFile(join(folder, 'a.yaml'), yaml('a', 'b'));
    const { step, source } = follow();
    await step(lastSynced);
    await writeFile(join(folder, 'a.yaml'), `${yaml('c')}---\nkind: [\n`);
    expect(await step('+c')).toEqual(['+c']);
    expect(source.problems?.()).toMatchObject([{ object: `${join(folder, 'a.yaml')}, document 2` }]);
    await writeFile(join(folder, 'a.yaml'), yaml('c'));
    expect((await step('-b')).toSorted()).toEqual(['-a', '-b']);
    expect(source.problems?.()).toEqual([]);
  });

  test('moves an object from file to file without a delete', async () => {
    await writeFile(join(folder, 'a.yaml'), yaml('a', 'b'));
    const { step } = follow();
    await step(lastSynced);
    await writeFile(join(folder, 'z.yaml'), yaml('b', 'd'));
    await writeFile(join(folder, 'a.yaml'), yaml('a'));
    expect(await step('+d')).toEqual(['+d']);
  });

  test('names an object that two files describe differently once, and takes the later file', async () => {
    const warnings: unknown[] = [];
    const log = { ...silentLogger, warn: (message: string, facts?: object) => warnings.push([message, facts]) };
    const labelled = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: b, labels: {team: red}}\n';
    await writeFile(join(folder, 'a.yaml'), yaml('a', 'b'));
    await writeFile(join(folder, 'z.yaml'), labelled);
    const clock = new VirtualClock();
    const listener = new Listener(manifestSource({ directory: folder, clock, log }));
    await listener.until(lastSynced);
    expect(listener.take()).toEqual(['+a', '+b', ...synced]);
    await writeFile(join(folder, 'a.yaml'), yaml('a', 'b', 'c'));
    await advanceUntil(clock, () => listener.heard.includes('+c'));
    expect(warnings).toEqual([
      [
        'Two manifests describe one object',
        { object: `Namespace//b: in ${join(folder, 'a.yaml')} and ${join(folder, 'z.yaml')}, which counts` },
      ],
    ]);
  });

  test('takes the first of two different objects in one file, and says that the second is a problem', async () => {
    await writeFile(join(folder, 'a.yaml'), yaml('a'));
    const { step, source } = follow();
    await step(lastSynced);
    await writeFile(
      join(folder, 'a.yaml'),
      `${yaml('a', 'c')}---\napiVersion: v1\nkind: Namespace\nmetadata: {name: c, labels: {team: red}}\n`,
    );
    expect(await step('+c')).toEqual(['+c']);
    expect(source.problems?.()).toMatchObject([
      { object: `${join(folder, 'a.yaml')}, document 3`, about: { kind: 'Namespace', name: 'c' } },
    ]);
  });

  test('passes over kinds that it does not follow', async () => {
    const identity = 'apiVersion: cilium.io/v2\nkind: CiliumIdentity\nmetadata: {name: "200001"}\n';
    await writeFile(join(folder, 'a.yaml'), `${yaml('a')}---\n${identity}`);
    const kinds = followedKinds({ mode: 'cilium' });
    const plain = new Listener(manifestSource({ directory: folder, clock: new VirtualClock() }));
    const cilium = new Listener(manifestSource({ directory: folder, kinds, clock: new VirtualClock() }));
    await plain.until('synced Pod');
    await cilium.until('synced CiliumEndpoint');
    expect(plain.heard).toEqual(['+a', ...synced]);
    expect(cilium.heard).toEqual(['+a', '+200001', ...kinds.map((kind) => `synced ${kind}`)]);
  });

  test('withdraws nothing and is not synced while it cannot be read', async () => {
    const away = join(folder, 'away');
    await writeFile(join(folder, 'a.yaml'), yaml('a'));
    const clock = new VirtualClock();
    const directory = join(folder, 'late');
    const source = manifestSource({ directory, clock });
    const listener = new Listener(source);
    await clock.advance(60_000);
    expect(listener.take()).toEqual([]);
    await advanceUntil(clock, () => source.unread?.().length === 1);
    await mkdir(directory);
    await writeFile(join(directory, 'a.yaml'), yaml('a'));
    await advanceUntil(clock, () => listener.heard.includes(lastSynced));
    expect(listener.take()).toEqual(['+a', ...synced]);
    await advanceUntil(clock, () => source.unread?.().length === 0);
    await rename(directory, away);
    for (let i = 0; i < 10; i++) await clock.advance(10_000);
    expect(listener.take()).toEqual([]);
    await advanceUntil(clock, () => source.unread?.().length === 1);
    expect(source.unread?.()).toEqual([{ object: `folder ${directory}`, reason: expect.stringContaining('ENOENT') }]);
  });
});

describe('A served source', () => {
  const path = (): string => join(folder, 'run', 'objects.sock');

  test('arrives at the other end of a socket that only its owner may use', async () => {
    const source = new MemorySource('test');
    source.set(namespace('a', { tier: 'gold' }));
    await using server = await serveSource(source, path());
    const listener = new Listener(streamSource({ socket: path(), clock: systemClock }));
    await listener.until('+a');
    source.markSynced();
    await listener.until(lastSynced);
    source.set(namespace('b'));
    await listener.until('+b');
    source.delete('Namespace', '', 'a');
    await listener.until('-a');
    expect(listener.heard).toEqual(['+a', ...synced, '+b', '-a']);
    expect((await stat(server.path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'run'))).mode & 0o777).toBe(0o700);
    stop.abort();
    await listener.done;
  });

  test('passes over what the server says of other kinds', async () => {
    const source = new MemorySource('test', [...kubernetesKinds, 'CiliumNode']);
    source.set({
      kind: 'CiliumNode',
      metadata: { name: 'n1', namespace: '', uid: '', labels: {}, annotations: {} },
      spec: { addresses: [], bootId: '', encryptionKey: 0, health: {}, ingress: {}, ipam: { podCIDRs: [], pools: [] } },
    });
    source.markSynced();
    await using _server = await serveSource(source, path());
    const plain = new Listener(streamSource({ socket: path(), clock: systemClock }));
    const both = new Listener(streamSource({ socket: path(), kinds: ['CiliumNode', 'Pod'], clock: systemClock }));
    await plain.until('synced Pod');
    await both.until('synced CiliumNode');
    expect(plain.heard).toEqual(synced);
    expect(both.heard).toEqual(['+n1', 'synced Pod', 'synced CiliumNode']);
  });

  test('that comes back tells what is gone, after it has said everything and not before', async () => {
    const before = new MemorySource('before');
    for (const name of ['a', 'b']) before.set(namespace(name));
    before.markSynced();
    const first = await serveSource(before, path());
    const source = streamSource({ socket: path(), clock: systemClock, schedule: () => 5 });
    const listener = new Listener(source);
    await listener.until(lastSynced);
    expect(source.unread?.()).toEqual([]);
    await first[Symbol.asyncDispose]();
    listener.take();
    await until(() => source.unread?.()[0]?.object === `stream ${path()}`);

    const after = new MemorySource('after');
    after.set(namespace('b'));
    await using _second = await serveSource(after, path());
    await listener.until('+b');
    expect(listener.take()).toEqual(['+b']);
    expect(source.unread?.()).toEqual([]);
    after.set(namespace('c'));
    after.markSynced();
    await listener.until('-a');
    expect(listener.heard).toEqual(['+c', '-a']);
  });

  test('says nothing to a caller that the check of its uid refuses', async () => {
    const source = new MemorySource();
    source.set(namespace('secret'));
    const checkPeer = (): void => {
      throw new Error('Callers of uid 65534 are not served here');
    };
    await using server = await serveSource(source, path(), { checkPeer });
    const heard: Buffer[] = [];
    const socket = connect(server.path).on('data', (chunk) => heard.push(chunk));
    await new Promise((resolve) => socket.once('close', resolve));
    expect(Buffer.concat(heard).toString()).toBe('');
  });

  test('refuses a folder that others may write to', async () => {
    await mkdir(join(folder, 'run'));
    await chmod(join(folder, 'run'), 0o777);
    await expect(serveSource(new MemorySource(), path())).rejects.toMatchObject({ code: 'SOCKET_DIRECTORY' });
  });

  test('takes the place of a dead one, but not of a live one', async () => {
    const source = new MemorySource();
    await using _server = await serveSource(source, path());
    await expect(serveSource(source, path())).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test('may say nonsense about one object without losing the others', async () => {
    await mkdir(join(folder, 'run'));
    const server = createServer((socket) => {
      socket.write('{"type":"hello","format":"isthmus-objects/v1"}\n');
      socket.write(
        '{"type":"upsert","object":{"apiVersion":"v1","kind":"Node","metadata":{"name":"UPPER"}}}\nnot json\n',
      );
      socket.write('{"type":"upsert","object":{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}}}\n');
      socket.write('{"type":"upsert","object":{"apiVersion":"v1","kind":"Name');
      setImmediate(() => socket.write('space","metadata":{"name":"a"}}}\n'));
    });
    await new Promise<void>((resolve) => server.listen(path(), resolve));
    const listener = new Listener(streamSource({ socket: path(), clock: systemClock }));
    await listener.until('+a');
    expect(listener.heard).toEqual(['+a']);
    stop.abort();
    await listener.done;
    await new Promise((resolve) => server.close(resolve));
  });

  test('that comes back with an object it cannot say keeps that object, until it says it well', async () => {
    await mkdir(join(folder, 'run'));
    const line = (name: string, labels: string): string =>
      `{"type":"upsert","object":{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"${name}","labels":${labels}}}}\n`;
    const kinds = kubernetesKinds.map((kind) => `{"type":"synced","kind":"${kind}"}\n`).join('');
    const said = [line('a', '{}') + line('b', '{}'), line('a', '7') + line('z', '{}')];
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.write(`{"type":"hello","format":"isthmus-objects/v1"}\n${said[sockets.length - 1] ?? ''}${kinds}`);
    });
    await new Promise<void>((resolve) => server.listen(path(), resolve));
    const source = streamSource({ socket: path(), clock: systemClock, schedule: () => 5 });
    const listener = new Listener(source);
    await listener.until(lastSynced);
    listener.take();
    sockets[0]?.destroy();
    await listener.until('+z');
    await systemClock.sleep(20);
    // Which object it is cannot be believed where its metadata are at fault: none of the kind is gone.
    expect(listener.heard).toEqual(['+z']);
    expect(source.problems?.()).toMatchObject([{ about: { kind: 'Namespace' } }]);
    stop.abort();
    await listener.done;
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});
