import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { needs } from '../../support/probe.ts';

needs('clang')('the objects in the repository', () => {
  test('are byte for byte what their sources compile to, in any folder', () => {
    const directory = mkdtempSync(join(tmpdir(), 'isthmus-objects-'));
    try {
      cpSync(join(import.meta.dirname, '../../../datapath/bpf'), directory, { recursive: true });
      const build = spawnSync('sh', [join(directory, 'build.sh'), '--check'], { encoding: 'utf8' });
      expect({ status: build.status, output: build.stdout + build.stderr }).toEqual({ status: 0, output: '' });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
