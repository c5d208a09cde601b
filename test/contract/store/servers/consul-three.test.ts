import { jest } from '@jest/globals';
import { needs } from '../../../support/probe.ts';
import { describeStore } from '../suite/index.ts';
import { consulPromises, openConsulCluster } from './consul-harness.ts';

jest.setTimeout(300_000);

needs('consul')('with real servers', () => {
  describeStore('Store of Consul 1.22, three servers', openConsulCluster, {
    promises: consulPromises,
    disturbances: ['breakable', 'restart', 'resume', 'killLeader'],
    shownElsewhere: ['broken lines', 'slow readers', 'restarts', 'resumption'],
    openTimeoutMs: 600_000,
  });
});
