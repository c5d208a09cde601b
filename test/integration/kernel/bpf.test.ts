import { closeSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type BpfHook,
  type BpfObject,
  type LinuxKernel,
  type NamespaceHandle,
  createCgroup,
  createNamespace,
  deleteNamespace,
  isBpffs,
  mountBpffs,
  openLinuxKernel,
  probeKernel,
  removeCgroup,
  requireFeatures,
  udpBindFd,
  unmountBpffs,
} from '../../../kernel/index.ts';
import { libbpf } from '../../../kernel/bpf/libbpf.ts';
import { linkInfo } from '../../../kernel/bpf/link-attachment.ts';
import { needs } from '../../support/probe.ts';

const object = new URL('../../fixtures/bpf/probe.bpf.o', import.meta.url).pathname;
const foreignObject = new URL('../../fixtures/bpf/foreign.bpf.o', import.meta.url).pathname;
const refused = new URL('../../fixtures/bpf/refused.bpf.o', import.meta.url).pathname;
const name = `isthmus-bpf-${process.pid}`;

/** Counter `slot` of the object's per-CPU array. */
function seen(loaded: BpfObject, slot: number): number {
  return Number(Buffer.from(loaded.map('seen').lookup(Buffer.from([slot, 0, 0, 0])) ?? []).readBigUInt64LE(0));
}

/** Id of a pinned link; it changes when the link is made anew. */
function pinnedLinkId(path: string): number {
  const fd = libbpf.bpf_obj_get(path);
  const id = linkInfo(fd).readUInt32LE(4);
  closeSync(fd);
  return id;
}

const describeIf = needs('linux', 'root', 'netns', 'libbpf', 'bpf');

describeIf('programs on packets', () => {
  for (const tcMode of ['auto', 'clsact'] as const)
    describe(`attached by ${tcMode}`, () => {
      let namespace: NamespaceHandle;
      let kernel: LinuxKernel;
      let pinDirectory: string;
      const hook: BpfHook = { type: 'tc', link: 1, direction: 'egress' };

      beforeAll(async () => {
        namespace = createNamespace(`${name}-${tcMode}`);
        pinDirectory = mkdtempSync(join(tmpdir(), 'isthmus-bpf-'));
        mountBpffs(pinDirectory);
        kernel = await openLinuxKernel({ netns: namespace, tcMode });
        await kernel.network.changeLink(1, { up: true });
      });

      afterAll(async () => {
        await kernel[Symbol.asyncDispose]();
        expect(unmountBpffs(pinDirectory)).toBe(true);
        rmSync(pinDirectory, { recursive: true, force: true });
        namespace[Symbol.dispose]();
        expect(deleteNamespace(`${name}-${tcMode}`)).toBe(true);
      });

      /** Sends `count` packets over the loopback device. */
      async function send(count: number): Promise<void> {
        const socket = createSocket('udp4');
        const listening = once(socket, 'listening');
        socket.bind({ fd: udpBindFd(namespace, { address: '127.0.0.1', port: 4000 }), exclusive: true });
        await listening;
        for (let i = 0; i < count; i++) {
          const received = once(socket, 'message');
          socket.send('x', 4000, '127.0.0.1');
          await received;
        }
        socket.close();
      }

      test('configuration reaches the program, and a replaced program counts from the next packet on', async () => {
        const rodata = Buffer.alloc(16);
        rodata.writeUInt32LE(2, 0);
        rodata.writeBigUInt64LE(99n, 8);
        using first = await kernel.bpf.load({ path: object, rodata, pinDirectory });
        using one = await first.attach('ingress_one', hook, { pinName: 'out' });
        await send(3);
        expect([seen(first, 0), seen(first, 1)]).toEqual([3, 0]);
        expect(first.map('slots').lookup(Buffer.from([2, 0, 0, 0]))?.[0]).toBe(99);
        using second = await kernel.bpf.load({ path: object, rodata, pinDirectory });
        using two = await second.attach('ingress_two', hook, { pinName: 'out' });
        await send(2);
        expect([seen(second, 0), seen(second, 1)]).toEqual([3, 2]);
        await two.detach();
        await send(1);
        expect([seen(second, 0), seen(second, 1)]).toEqual([3, 2]);
        expect(one.hook).toEqual(hook);
      });

      test('a filter of somebody else at the same place stays', async () => {
        if (kernel.bpf.tcMode === 'clsact') return;
        await using stranger = await openLinuxKernel({ netns: namespace, tcMode: 'clsact' });
        using foreign = await stranger.bpf.load({ path: foreignObject });
        using filter = await foreign.attach('foreign_program', hook);
        using ours = await kernel.bpf.load({ path: object, pinDirectory });
        using attachment = await ours.attach('ingress_one', hook, { pinName: 'out' });
        await attachment.detach();
        await send(1);
        expect(Buffer.from(foreign.map('foreign_seen').lookup(Buffer.alloc(4)) ?? []).readBigUInt64LE(0)).toBe(1n);
        await filter.detach();
      });

      test('a new process with the other way of attaching takes over, so that nothing runs twice', async () => {
        using first = await kernel.bpf.load({ path: object, pinDirectory });
        using _one = await first.attach('ingress_one', hook, { pinName: 'out' });
        const otherMode = kernel.bpf.tcMode === 'tcx' ? 'clsact' : 'auto';
        await using other = await openLinuxKernel({ netns: namespace, tcMode: otherMode });
        using second = await other.bpf.load({ path: object, pinDirectory });
        using two = await second.attach('ingress_two', hook, { pinName: 'out' });
        _one[Symbol.dispose]();
        const before = [seen(second, 0), seen(second, 1)];
        await send(2);
        expect([seen(second, 0) - (before[0] ?? 0), seen(second, 1) - (before[1] ?? 0)]).toEqual([0, 2]);
        await two.detach();
      });
    });
});

describeIf('a pinned link', () => {
  test('is the same link after a restart, updated in place', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'isthmus-pin-'));
    mountBpffs(directory);
    const namespace = createNamespace(`${name}-pin`);
    try {
      const ids: number[] = [];
      for (const program of ['ingress_one', 'ingress_two']) {
        await using kernel = await openLinuxKernel({ netns: namespace });
        if (kernel.bpf.tcMode === 'clsact') return;
        using loaded = await kernel.bpf.load({ path: object, pinDirectory: directory });
        await loaded.attach(program, { type: 'tc', link: 1, direction: 'ingress' }, { pinName: 'in' });
        ids.push(pinnedLinkId(join(directory, 'in')));
      }
      expect(ids[0]).toBe(ids[1]);
    } finally {
      unmountBpffs(directory);
      rmSync(directory, { recursive: true, force: true });
      namespace[Symbol.dispose]();
      deleteNamespace(`${name}-pin`);
    }
  });
});

describeIf('loading', () => {
  test('a refused program comes with the log of the verifier', async () => {
    await using kernel = await openLinuxKernel();
    const error: unknown = await kernel.bpf.load({ path: refused }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ name: 'KernelError', code: 'EACCES' });
    expect(String(error)).toContain('invalid access to packet');
    expect(String(error)).toContain('reads_beyond');
  });

  test('a large update lets timers run in between', async () => {
    await using kernel = await openLinuxKernel();
    using map = kernel.bpf.createMap({ name: 'big', type: 'hash', keySize: 4, valueSize: 4, maxEntries: 100_000 });
    const keys = Buffer.from(Uint32Array.from({ length: 100_000 }, (_, i) => i).buffer);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await map.updateBatch(keys, keys, 100_000);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
    expect(map.lookup(Buffer.from(Uint32Array.of(99_999).buffer))).toEqual(Buffer.from(Uint32Array.of(99_999).buffer));
  });
});

describeIf('bpffs', () => {
  test('a mount is private to its directory and goes with its pins', async () => {
    const directory = join(mkdtempSync(join(tmpdir(), 'isthmus-bpffs-')), 'bpf');
    mountBpffs(directory);
    mountBpffs(directory);
    expect([isBpffs(directory), statSync(directory).mode & 0o777]).toEqual([true, 0o700]);
    await using kernel = await openLinuxKernel();
    using _loaded = await kernel.bpf.load({ path: object, pinDirectory: join(directory, 'node') });
    expect(readdirSync(join(directory, 'node')).toSorted()).toEqual(['flows', 'seen', 'slots', 'table']);
    expect([unmountBpffs(directory), unmountBpffs(directory)]).toEqual([true, false]);
    rmSync(join(directory, '..'), { recursive: true });
  });
});

needs(
  'linux',
  'root',
  'netns',
  'libbpf',
  'bpf',
  'cgroup2',
)('the probe of this kernel', () => {
  test('finds everything that is required, and leaves nothing behind', async () => {
    const report = await probeKernel();
    expect(report.features.filter(({ required, missing }) => required && missing)).toEqual([]);
    expect(() => requireFeatures(report)).not.toThrow();
  });

  test('a socket-level program refuses what its map says', async () => {
    const cgroup = createCgroup(`${name}-connect`);
    try {
      await using kernel = await openLinuxKernel();
      using loaded = await kernel.bpf.load({ path: object });
      using attachment = await loaded.attach('connects', { type: 'cgroup', path: cgroup, attach: 'connect4' });
      await attachment.detach();
    } finally {
      expect(await removeCgroup(cgroup)).toBe(true);
    }
  });
});
