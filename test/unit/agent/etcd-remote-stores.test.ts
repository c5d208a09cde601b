import { expect, test } from '@jest/globals';
import { etcdRemoteStores } from '../../../agent/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { type Logger, silentLogger } from '../../../runtime/log/index.ts';

test('a remote cluster whose certificate is not verified is warned of once for each configuration, however often it is connected to', async () => {
  const said: unknown[] = [];
  const log: Logger = {
    ...silentLogger,
    warn: (_message, also) => void said.push(also?.['file']),
    child: () => log,
  };
  const openStore = etcdRemoteStores({ clock: systemClock, log });
  const open = async (hash: string, more = ''): Promise<void> => {
    const text = `endpoints: ["https://127.0.0.1:1"]\n${more}`;
    await using _store = openStore({ cluster: 'west', path: `west-${hash}`, text, hash });
  };
  await open('verified');
  for (const hash of ['a', 'a', 'b', 'b']) await open(hash, 'insecure-skip-tls-verify: true\n');
  expect(said).toEqual(['west-a', 'west-b']);
});
