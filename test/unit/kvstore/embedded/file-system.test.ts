import { tmpdir } from 'node:os';
import { expect, test } from '@jest/globals';
import { StoreDirectoryError } from '../../../../kvstore/index.ts';
import { checkFileSystem } from '../../../../kvstore/embedded/file-system.ts';

test.each([
  { name: 'NFS', type: 0x6969 },
  { name: 'CIFS', type: 0xff53_4d42 },
  { name: 'CIFS', type: 0xff53_4d42 | 0 },
  { name: '9P', type: 0x0102_1997 },
])('a directory on $name is refused, with what to do', ({ name, type }) => {
  const check = (): void => checkFileSystem('/data', () => type);
  expect(check).toThrow(StoreDirectoryError);
  expect(check).toThrow(`/data is on ${name}, where neither locks`);
  expect(check).toThrow('choose one on a local file system');
});

test('a directory of this machine is not', () => {
  checkFileSystem(tmpdir());
});
