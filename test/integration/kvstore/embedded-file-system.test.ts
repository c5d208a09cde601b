import { expect, jest, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { needs } from '../../support/probe.ts';

jest.setTimeout(120_000);

const isthmus = new URL('../../../bin/isthmus', import.meta.url).pathname;
const hasHugetlbfs = readFileSync('/proc/filesystems', 'utf8').includes('\thugetlbfs\n');
const onLinux = needs('linux', 'root');

onLinux('a store on a file system that cannot hold it', () => {
  test.each([
    // Files there can be mapped only in pages of its own size, and not be written.
    ...(hasHugetlbfs ? [{ type: 'hugetlbfs', options: 'rw', says: 'cannot map and lock files' }] : []),
    { type: 'tmpfs', options: 'ro', says: 'cannot hold the socket by which a store is locked' },
  ])('($type, $options) is refused with what to do', ({ type, options, says }) => {
    const directory = mkdtempSync(join(tmpdir(), 'isthmus-file-system-'));
    try {
      const command =
        'mount -t "$1" -o "$2" none "$3" && { "$4" store serve --data-dir "$3" --listen 127.0.0.1:0; code=$?; ls -A "$3"; exit $code; }';
      const args = ['-m', 'sh', '-c', command, 'sh', type, options, directory, isthmus];
      const { status, stdout, stderr } = spawnSync('unshare', args, { encoding: 'utf8', timeout: 100_000 });
      expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(says) });
      // Nothing is left behind but what it was locked by.
      expect(stdout.split('\n').filter((name) => name.startsWith('isthmus-store.json'))).toEqual([]);
      expect(stderr).toContain('choose one on a local file system');
      expect(stderr).not.toContain('    at ');
    } finally {
      rmdirSync(directory);
    }
  });
});
