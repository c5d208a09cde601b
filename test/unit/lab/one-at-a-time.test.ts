import { expect, test } from '@jest/globals';
import { OneAtATime } from '../../../lab/one-at-a-time.ts';

test('what concerns one thing happens in order, another thing does not wait, and a failure ends nothing but itself', async () => {
  const said: string[] = [];
  const changes = new OneAtATime<string>();
  const gate = Promise.withResolvers<void>();
  const stop = changes.run('web', async () => {
    said.push('web stops');
    await gate.promise;
    said.push('web has stopped');
    throw new Error('no answer');
  });
  const start = changes.run('web', async () => void said.push('web starts'));
  await changes.run('db', async () => void said.push('db starts'));
  expect(said).toEqual(['web stops', 'db starts']);
  gate.resolve();
  await expect(stop).rejects.toThrow('no answer');
  await start;
  expect(said).toEqual(['web stops', 'db starts', 'web has stopped', 'web starts']);
});
