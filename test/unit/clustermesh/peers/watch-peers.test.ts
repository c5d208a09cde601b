import { execFileSync } from 'node:child_process';
import { constants, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, open, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type PeerEvent, scanDirectory, watchPeers } from '../../../../clustermesh/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { until } from '../../../support/until.ts';

const yaml = (host: string): string => `endpoints:\n- https://${host}:2379\n`;

describe('the directory of remote clusters', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'isthmus-peers-'));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  test('holds a configuration in each file that names endpoints, links included', async () => {
    await writeFile(join(directory, 'west'), yaml('west'));
    await writeFile(join(directory, 'ca.crt'), '-----BEGIN CERTIFICATE-----');
    await writeFile(join(directory, 'West_2'), yaml('west2'));
    await mkdir(join(directory, '..data'));
    await writeFile(join(directory, '..data', 'north'), yaml('north'));
    await symlink(join('..data', 'north'), join(directory, 'north'));
    await symlink('nowhere', join(directory, 'dangling'));
    await mkdir(join(directory, 'folder'));
    const { configs, misnamed } = await scanDirectory(directory);
    expect([...configs.keys()]).toEqual(['north', 'west']);
    expect(configs.get('west')).toMatchObject({ cluster: 'west', text: yaml('west'), path: join(directory, 'west') });
    expect(misnamed).toEqual(['West_2']);
    await writeFile(join(directory, 'south'), ' \n');
    await writeFile(join(directory, 'notes'), 'nothing to see');
    expect((await scanDirectory(directory)).broken).toEqual(
      new Map([
        ['notes', 'has no list of endpoints'],
        ['south', 'is empty'],
      ]),
    );
  });

  test('holds limits that cannot be read as such, rather than as none', async () => {
    await writeFile(join(directory, 'west'), yaml('west'));
    const policy = join(directory, 'west.isthmus.yaml');
    const found = async () => (await scanDirectory(directory)).configs.get('west')?.policy;
    expect(await found()).toBeUndefined();
    await writeFile(policy, 'allowedCIDRs: []');
    expect(await found()).toEqual({ path: policy, text: 'allowedCIDRs: []' });
    await rm(policy);
    await mkdir(policy);
    expect(await found()).toEqual({ path: policy, text: '' });
    await rm(policy, { recursive: true });
    await symlink('nowhere', policy);
    expect(await found()).toEqual({ path: policy, text: '' });
  });

  test('may hold pipes, sockets, devices and files without end, none of which is waited for or read', async () => {
    await writeFile(join(directory, 'west'), yaml('west'));
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await using socket = createServer().listen(join(directory, 'socket'));
    await until(() => socket.listening);
    await symlink('/dev/zero', join(directory, 'zero'));
    await writeFile(join(directory, 'huge'), yaml('huge'));
    await truncate(join(directory, 'huge'), 3 * 1024 ** 3);
    const scan = scanDirectory(directory);
    try {
      await expect(Promise.race([scan, sleep(10_000, 'is waited for', { ref: false })])).resolves.toMatchObject({
        configs: new Map([['west', expect.objectContaining({ cluster: 'west' })]]),
      });
    } finally {
      // Whoever waits for a writer after all has one now.
      await using _writer = await open(pipe, constants.O_RDWR | constants.O_NONBLOCK);
      await scan.catch(() => undefined);
    }
  });

  test('that does not exist holds none', async () => {
    expect((await scanDirectory(join(directory, 'absent'))).configs.size).toBe(0);
  });

  test('tells what is there, then what is added, changed by a byte, and removed', async () => {
    await writeFile(join(directory, 'west'), yaml('west'));
    await writeFile(join(directory, 'east'), yaml('east'));
    const controller = new AbortController();
    const clock = new VirtualClock();
    const options = { directory, ownCluster: 'east', clock, log: silentLogger, rescanMs: 1000 };
    const events = watchPeers(options, controller.signal);
    const shown: string[] = [];
    const next = async (): Promise<void> => {
      const pending = events.next();
      const state = { done: false };
      void pending.finally(() => (state.done = true));
      await until(
        () => state.done,
        () => clock.advance(1000).then(() => sleep(1)),
      );
      const { value } = await pending;
      if (value) shown.push(words(value));
    };
    const words = (event: PeerEvent): string =>
      event.type === 'add'
        ? `add ${event.config.cluster}`
        : event.type === 'remove'
          ? `remove ${event.cluster}`
          : 'listed';
    await next();
    await next();
    await writeFile(join(directory, 'west'), yaml('west'));
    await writeFile(join(directory, 'north'), yaml('north'));
    await next();
    await writeFile(join(directory, 'new'), yaml('west-2'));
    await rename(join(directory, 'new'), join(directory, 'west'));
    while (shown.at(-1) !== 'add west') await next();
    await rm(join(directory, 'north'));
    while (shown.at(-1) !== 'remove north') await next();
    // A file may be seen half-way through a change of its name.
    expect(shown.filter((event) => !event.endsWith(' new'))).toEqual([
      'add west',
      'listed',
      'add north',
      'add west',
      'remove north',
    ]);
    controller.abort();
    expect((await events.next()).done).toBe(true);
  });

  test('is watched on when another directory takes its place', async () => {
    await writeFile(join(directory, 'west'), yaml('west'));
    const controller = new AbortController();
    const clock = new VirtualClock();
    const shown: string[] = [];
    const following = (async () => {
      const options = { directory, ownCluster: 'east', clock, log: silentLogger };
      for await (const event of watchPeers(options, controller.signal))
        shown.push(event.type === 'add' ? `add ${event.config.cluster}` : event.type);
    })();
    await until(() => shown.includes('listed'));
    // So fast that nobody looks in between: the second one may have the number of the first.
    rmSync(directory, { recursive: true });
    mkdirSync(directory);
    writeFileSync(join(directory, 'west'), yaml('west-2'));
    await until(
      () => shown.filter((one) => one === 'add west').length === 2,
      () => clock.advance(30_000).then(() => sleep(5)),
    );
    // Nobody has to wait for the next look.
    await writeFile(join(directory, 'north'), yaml('north'));
    await until(() => shown.includes('add north'));
    controller.abort();
    await following;
  });

  test('takes nothing away while it cannot be read, and says so', async () => {
    await writeFile(join(directory, 'west'), yaml('west'));
    const controller = new AbortController();
    const clock = new VirtualClock();
    const shown: string[] = [];
    let failure: string | undefined;
    const onLook = (one: string | undefined): void => void (failure = one);
    const following = (async () => {
      const options = { directory, ownCluster: 'east', clock, log: silentLogger, onLook };
      for await (const event of watchPeers(options, controller.signal)) shown.push(event.type);
    })();
    await until(() => shown.includes('listed'));
    expect(failure).toBeUndefined();
    await rename(directory, `${directory}-away`);
    await writeFile(directory, 'no directory');
    await until(
      () => failure !== undefined,
      () => clock.advance(30_000),
    );
    expect(failure).toContain('ENOTDIR');
    expect(shown).not.toContain('remove');
    await rm(directory);
    await rename(`${directory}-away`, directory);
    await until(
      () => failure === undefined,
      () => clock.advance(30_000),
    );
    controller.abort();
    await following;
  });

  test('does not lose a cluster whose file is written in place, however often it is looked at meanwhile', async () => {
    const path = join(directory, 'west');
    await writeFile(path, yaml('west'));
    const controller = new AbortController();
    const clock = new VirtualClock();
    const options = { directory, ownCluster: 'east', clock, log: silentLogger, rescanMs: 100 };
    const shown: string[] = [];
    const following = (async () => {
      for await (const event of watchPeers(options, controller.signal))
        shown.push(event.type === 'add' ? `add ${event.config.text.trim().split('/').at(-1)}` : event.type);
    })();
    const pass = async (ms: number): Promise<void> => {
      for (let i = 0; i < ms / 100; i++) {
        await clock.advance(100);
        await sleep(5);
      }
    };
    const untilShown = (last: string): Promise<void> =>
      until(
        () => shown.at(-1) === last,
        () => pass(100),
      );
    await untilShown('listed');
    await writeFile(path, '');
    await pass(400);
    await writeFile(path, yaml('elsewhere'));
    await untilShown('add elsewhere:2379');
    // It counts anew each time.
    await writeFile(path, '');
    await pass(400);
    await writeFile(path, yaml('elsewhere'));
    await pass(1_000);
    // Nor when an editor takes its time, or leaves half of it.
    await writeFile(path, '');
    await pass(3_000);
    await writeFile(path, 'endpoints:\n- "https://half');
    await pass(3_000);
    expect(shown).toEqual(['add west:2379', 'listed', 'add elsewhere:2379']);
    await rm(path);
    await untilShown('remove');
    controller.abort();
    await following;
  });
});
