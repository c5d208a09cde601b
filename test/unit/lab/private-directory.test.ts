import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { makePrivateDirectory } from '../../../lab/state/index.ts';

describe('a directory that only we may write to', () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-private-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('is made with mode 0700, and taken when it is there already', async () => {
    const path = join(folder, 'own');
    await makePrivateDirectory(path);
    await makePrivateDirectory(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  test('is refused when others may write to it', async () => {
    const path = join(folder, 'open');
    await makePrivateDirectory(path);
    chmodSync(path, 0o777);
    await expect(makePrivateDirectory(path)).rejects.toThrow('others may write to it');
  });

  test('is refused when it is a link to somewhere else', async () => {
    const path = join(folder, 'link');
    symlinkSync(folder, path);
    await expect(makePrivateDirectory(path)).rejects.toThrow('belongs to somebody else');
  });
});
