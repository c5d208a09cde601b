import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import {
  cgroupProcesses,
  createCgroup,
  joinCgroup,
  peerUid,
  processStartTime,
  removeCgroup,
} from '../../../kernel/index.ts';
import { needs } from '../../support/probe.ts';

needs('linux')('who is at the other end', () => {
  test('the peer of a Unix socket has a user id, the peer of a TCP socket has none', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-peer-'));
    try {
      const places: readonly { path?: string; host?: string }[] = [
        { path: join(folder, 'socket') },
        { host: '127.0.0.1' },
      ];
      for (const where of places) {
        const server = createServer();
        server.listen(where.path === undefined ? { port: 0, ...where } : where);
        await once(server, 'listening');
        const { port } = server.address() as AddressInfo;
        const client = where.path === undefined ? connect(port, where.host) : connect(where.path);
        const [served] = (await once(server, 'connection')) as [Socket];
        if (where.path !== undefined) expect(peerUid(served)).toBe(process.getuid?.());
        else expect(() => peerUid(served)).toThrow(TypeError);
        client.destroy();
        served.destroy();
        expect(() => peerUid(served)).toThrow(TypeError);
        server.close();
        await once(server, 'close');
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('a process has a start time as long as it lives', async () => {
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    const started = processStartTime(child.pid ?? 0);
    expect(started).toBeGreaterThanOrEqual(processStartTime(process.pid) ?? Number.POSITIVE_INFINITY);
    expect(processStartTime(child.pid ?? 0)).toBe(started);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(processStartTime(child.pid ?? 0)).toBeUndefined();
  });

  test('a process that has ended has none, although nobody has waited for it yet', async () => {
    // The shell becomes `sleep`, which never asks what became of the child that the shell had started; only then it ends.
    const parent = spawn('sh', ['-c', 'cat <&3 >&2 & echo $!; exec sleep 60 3<&-'], {
      stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
    });
    try {
      const [line] = (await once(parent.stdio[1] as Readable, 'data')) as [Buffer];
      const zombie = Number(line.toString());
      while (readFileSync(`/proc/${parent.pid}/comm`, 'utf8') !== 'sleep\n') await sleep(10);
      (parent.stdio[3] as Writable).end();
      const state = (): string => readFileSync(`/proc/${zombie}/stat`, 'utf8').split(') ')[1]?.[0] ?? '';
      while (state() !== 'Z') await sleep(10);
      expect(processStartTime(zombie)).toBeUndefined();
    } finally {
      parent.kill('SIGKILL');
      await once(parent, 'close');
    }
  });
});

needs(
  'linux',
  'root',
  'cgroup2',
)('cgroups', () => {
  test('a process is moved in, killed with its cgroup, and nothing is left', async () => {
    const path = createCgroup(`isthmus-int-${process.pid}/node`);
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    const exited = once(child, 'exit');
    joinCgroup(path, child.pid);
    expect(cgroupProcesses(path)).toEqual([child.pid]);
    expect(await removeCgroup(path)).toBe(true);
    expect(await exited).toEqual([null, 'SIGKILL']);
    expect([await removeCgroup(path), existsSync(path)]).toEqual([false, false]);
    expect(await removeCgroup(join(path, '..'))).toBe(true);
  });
});
