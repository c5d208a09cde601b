import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Token } from '../../../../kvstore/consul/http/token.ts';

describe('the ACL token of a Consul', () => {
  test('is said to be missing where it is looked for and is not', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'isthmus-token-'));
    try {
      const tokenFile = join(folder, 'token');
      await writeFile(tokenFile, '\n');
      const token = new Token({ tokenFile });
      expect([await token.current(), token.origin]).toEqual([undefined, `there is no token in ${tokenFile}`]);
      await writeFile(tokenFile, 's3cret\n');
      expect([await token.isReplaced(undefined), token.origin]).toEqual([true, `the token is the one in ${tokenFile}`]);
      const fromNowhere = new Token({ tokenEnvironment: 'ISTHMUS_TEST_NO_TOKEN' });
      await fromNowhere.current();
      expect(fromNowhere.origin).toBe('there is no token in the environment variable ISTHMUS_TEST_NO_TOKEN');
      expect(new Token({}).origin).toBe('no token is configured');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
