import { jest } from '@jest/globals';
import { needs } from '../../../support/probe.ts';
import { describeStore } from '../suite/index.ts';
import { openEtcd } from './etcd-harness.ts';

jest.setTimeout(180_000);

needs('etcd')('with a real server', () => {
  describeStore('Store of etcd 3.6', openEtcd, {
    promises: { elsewhere: true },
    disturbances: ['restart', 'resume', 'breakable', 'wipe', 'backup', 'guarded'],
    openTimeoutMs: 600_000,
  });
});
