import { expect, jest, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { needs } from '../../support/probe.ts';

jest.setTimeout(120_000);

needs('linux', 'root')('the embedded store on a full disk', () => {
  test('refuses writes in etcd’s words, loses nothing, and goes on once there is room', () => {
    const directory = mkdtempSync(join(tmpdir(), 'isthmus-full-disk-'));
    try {
      const child = new URL('full-disk/child.ts', import.meta.url).pathname;
      // A mount namespace of its own: the small file system ends with the process.
      const { stdout, stderr } = spawnSync(
        'unshare',
        [
          '-m',
          'sh',
          '-c',
          'mount -t tmpfs -o size=3m tmpfs "$1" && exec "$2" "$3" "$1/store"',
          'sh',
          directory,
          process.execPath,
          child,
        ],
        { encoding: 'utf8', timeout: 100_000 },
      );
      expect(stdout === '' ? stderr : JSON.parse(stdout)).toEqual({
        refusal: '8 etcdserver: mvcc: database space exceeded',
        problem: 'no-space',
        problemAfter: 'none',
        kept: true,
        deleted: true,
        after: 1,
      });
    } finally {
      rmdirSync(directory);
    }
  });
});
