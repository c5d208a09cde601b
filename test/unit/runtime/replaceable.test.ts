import { execFileSync } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { NotReplaceableError, replaceFile } from '../../../runtime/files/index.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-replace-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('a file that takes the place of another', () => {
  test('may be the first of its name, or follow one, also through a link', async () => {
    const path = join(folder, 'file');
    await replaceFile(path, '1');
    await replaceFile(path, '2');
    await symlink(path, join(folder, 'link'));
    await replaceFile(join(folder, 'link'), '3');
    expect(await readFile(path, 'utf8')).toBe('3');
    expect((await lstat(join(folder, 'link'))).isSymbolicLink()).toBe(true);
    expect(await readdir(folder)).toEqual(['file', 'link']);
  });

  test.each(['a pipe', 'a directory', 'a link to a pipe', 'a link to nothing', 'a link to an open file'])(
    'takes that of no %s',
    async (what) => {
      const path = join(folder, 'it');
      if (what === 'a directory') await mkdir(path);
      else if (what === 'a pipe') execFileSync('mkfifo', [path]);
      else await symlink(what === 'a link to an open file' ? '/proc/self/fd/1' : join(folder, 'other'), path);
      if (what === 'a link to a pipe') execFileSync('mkfifo', [join(folder, 'other')]);
      const before = await lstat(path);
      const names = await readdir(folder);
      await expect(replaceFile(path, '1')).rejects.toThrow(NotReplaceableError);
      expect((await lstat(path)).ino).toBe(before.ino);
      expect(await readdir(folder)).toEqual(names);
    },
  );

  test('is a directory’s own business: what is no path at all is said', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(replaceFile(join(folder, 'file', 'below'), '1')).rejects.toThrow(/ENOTDIR/);
  });
});
