import { jest } from '@jest/globals';
import { needs } from '../../../support/probe.ts';
import { describeStore } from '../suite/index.ts';
import { consulPromises, openConsul } from './consul-harness.ts';

jest.setTimeout(300_000);

needs('consul')('with a real server', () => {
  describeStore('Store of Consul 1.22, a server on disk', () => openConsul('disk'), {
    promises: consulPromises,
    disturbances: ['breakable', 'restart', 'resume', 'wipe', 'backup'],
    shownElsewhere: ['broken lines', 'slow readers'],
    openTimeoutMs: 600_000,
  });
});
