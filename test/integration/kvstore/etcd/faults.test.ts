import { beforeAll, describe, expect, jest, test } from '@jest/globals';
import { builtBinary } from '../../../support/built-binary.ts';
import { etcdBinary } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { faultCases } from './fault-cases.ts';
import { Mirror } from './mirror.ts';
import { openScene, prefix } from './scene.ts';
import { clientOf, embeddedSubject, etcdSubject } from './subjects.ts';

jest.setTimeout(60_000);

describe('the etcd client before the embedded store', () => {
  faultCases((options) => openScene(embeddedSubject, options), test, false);
});

needs('etcd')('the etcd client before etcd 3.6', () => {
  beforeAll(() => builtBinary(etcdBinary), 600_000);
  faultCases((options) => openScene(etcdSubject, options), test, true);

  test('notices within nine seconds that etcd is frozen, and goes on when it is not', async () => {
    await using subject = await etcdSubject();
    await using direct = clientOf(subject);
    await using store = clientOf(subject);
    await direct.put(`${prefix}stable/1`, '1');
    await using mirror = new Mirror(store, prefix);
    await mirror.agreesWith(direct, prefix);
    const frozen = performance.now();
    subject.pause?.();
    await mirror.until(() => !store.health().connected, 20_000);
    const noticedMs = performance.now() - frozen;
    subject.resume?.();
    await direct.put(`${prefix}new`, '1');
    await mirror.agreesWith(direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    // An hour of the test machine's sleep aside, this is what the keep-alive promises, with room for a busy machine.
    expect(noticedMs).toBeLessThan(9000 + 3000);
  });
});
