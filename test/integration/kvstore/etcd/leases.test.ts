import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, jest, test } from '@jest/globals';
import { builtBinary } from '../../../support/built-binary.ts';
import { etcdBinary } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { leaseCases } from './lease-cases.ts';
import { Mirror, writeMany } from './mirror.ts';
import { openScene, prefix } from './scene.ts';
import { clientOf, embeddedSubject, etcdSubject } from './subjects.ts';

jest.setTimeout(120_000);

describe('leases of the etcd client before the embedded store', () => {
  leaseCases((options) => openScene(embeddedSubject, options), test);

  test('a process that was stopped for longer than its lease lives knows that it is lost, and writes nothing under it', async () => {
    await using subject = await embeddedSubject();
    await using direct = clientOf(subject);
    await writeMany(direct, `${prefix}stable/`, 20);
    const script = fileURLToPath(new URL('lease-owner.ts', import.meta.url));
    const args = [script, `http://${subject.host}:${subject.port}`, `${prefix}mine`];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      expect((await lines.next()).value).toBe('held');
      await using mirror = new Mirror(direct, prefix);
      await mirror.until(() => mirror.state.has('mine'));
      child.kill('SIGSTOP');
      await mirror.until(() => !mirror.state.has('mine'));
      child.kill('SIGCONT');
      expect((await lines.next()).value).toBe('lost');
      expect((await lines.next()).value).toBe('refused');
      await mirror.agreesWith(direct, prefix);
      expect(mirror.state.size).toBe(20);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

needs('etcd')('leases of the etcd client before etcd 3.6', () => {
  beforeAll(() => builtBinary(etcdBinary), 600_000);
  leaseCases((options) => openScene(etcdSubject, options), test);
});
