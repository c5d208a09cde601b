import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { MakeDirectoryError, makeDirectory } from '../../../runtime/files/index.ts';

describe('makeDirectory', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'make-directory-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  test('makes what is missing, each directory with the mode that was asked for', async () => {
    makeDirectory(join(folder, 'a', 'b', 'c'), 0o700);
    for (const path of ['a', 'a/b', 'a/b/c']) {
      const found = await stat(join(folder, path));
      expect(found.isDirectory()).toBe(true);
      expect(found.mode & 0o777).toBe(0o700);
    }
  });

  test('leaves what is there as it is, also behind a link', async () => {
    makeDirectory(join(folder, 'there'), 0o711);
    const before = await stat(join(folder, 'there'));
    await symlink(join(folder, 'there'), join(folder, 'link'));
    makeDirectory(join(folder, 'link'), 0o700);
    makeDirectory(`${join(folder, 'there')}/`, 0o700);
    makeDirectory('/');
    makeDirectory('.');
    expect((await stat(join(folder, 'there'))).mode).toBe(before.mode);
  });

  test('names a file that is in the way, at the end or before it', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    expect(() => makeDirectory(file)).toThrow(
      `Cannot make the directory ${file}: something that is no directory has this name`,
    );
    expect(() => makeDirectory(join(file, 'below'))).toThrow('a part of the path is no directory');
  });

  // Node's own `mkdir` with `recursive` never comes back from here.
  test('ends where nothing can be made, and names the first directory that cannot be', () => {
    const attempt = (): void => makeDirectory('/proc/isthmus-test/below');
    expect(attempt).toThrow(MakeDirectoryError);
    expect(attempt).toThrow('Cannot make the directory /proc/isthmus-test: ');
  });
});
