import { expect, test } from '@jest/globals';
import { needs } from '../support/probe.ts';
import { runInGuest } from './boot.ts';

needs(
  'root',
  'qemu',
  'busybox',
  'guest-tools',
)('on Debian 12’s own kernel (6.1, no TCX)', () => {
  test('all programs load and pods of two nodes talk, directly and through a service at both levels', async () => {
    const run = await runInGuest('test/guest/scenario.ts', { timeoutMs: 300_000 });
    if (run.code !== 0)
      throw new Error(`The guest ended with ${run.code}:\n${run.errors}\n${run.output}\n${run.console}`);
    expect(JSON.parse(run.output)).toEqual({
      kernel: run.kernelVersion,
      crossNode: 'answer 10.1.0.1',
      serviceAtTc: 'answer 10.1.0.1',
      serviceAtSocket: 'answer 10.1.0.1',
      drops: [{}, {}],
      podAddressesAtRouter: 0,
      packetsAtRouter: expect.any(Number),
      tcx: expect.stringContaining('TCX is missing'),
    });
  }, 900_000);
});
