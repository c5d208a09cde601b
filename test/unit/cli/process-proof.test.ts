import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test } from '@jest/globals';
import { isProcessGone, processProof } from '../../../cli/process-proof.ts';

const children: ReturnType<typeof spawn>[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

test('A process is gone once it has ended, and not before', async () => {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  children.push(child);
  await once(child, 'spawn');
  const proof = (await processProof(child.pid)) ?? '';
  expect(await isProcessGone(proof)).toBe(false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await isProcessGone(proof)).toBe(true);
});

test('A process that has got the number of another is another', async () => {
  const own = (await processProof()) ?? '';
  expect(await isProcessGone(own)).toBe(false);
  expect(await isProcessGone(own.replace(/\d+$/, '1'))).toBe(true);
});

test('Of another boot, machine or container nothing is known, nor of what is no proof', async () => {
  const own = (await processProof()) ?? '';
  const elsewhere = own.replace(/^[0-9a-f]{8}/, '00000000').replace(/\d+$/, '1');
  const contained = own.replace(/pid:\[\d+\]/, 'pid:[1]').replace(/\d+$/, '1');
  for (const proof of [elsewhere, contained, '', 'x/1/y']) expect(await isProcessGone(proof)).toBe(false);
});
