import { jest } from '@jest/globals';
import { needs } from '../../../support/probe.ts';
import { describeStore } from '../suite/index.ts';
import { openEtcdCluster } from './etcd-harness.ts';

jest.setTimeout(180_000);

needs('etcd')('with real servers', () => {
  describeStore('Store of etcd 3.6, three members', openEtcdCluster, {
    promises: { elsewhere: true },
    disturbances: ['restart', 'resume', 'breakable', 'killLeader'],
    shownElsewhere: ['broken lines'],
    openTimeoutMs: 600_000,
  });
});
