import { beforeAll, describe, expect, jest, test } from '@jest/globals';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { builtBinary } from '../../../support/built-binary.ts';
import { etcdBinary } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { until } from '../../../support/until.ts';
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
    const clock = new VirtualClock();
    await using store = clientOf(subject, { clock });
    await direct.put(`${prefix}stable/1`, '1');
    await using mirror = new Mirror(store, prefix);
    await mirror.agreesWith(direct, prefix);
    subject.pause?.();
    // By the clock of the client: how fast this machine is does not matter.
    await clock.advance(9000);
    await mirror.until(() => !store.health().connected);
    subject.resume?.();
    await direct.put(`${prefix}new`, '1');
    await until(
      () => mirror.state.has('new'),
      () => clock.advance(20),
    );
    await mirror.agreesWith(direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
  });
});
