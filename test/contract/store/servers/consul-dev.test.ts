import { jest } from '@jest/globals';
import { needs } from '../../../support/probe.ts';
import { describeStore } from '../suite/index.ts';
import { consulPromises, openConsul } from './consul-harness.ts';

jest.setTimeout(300_000);

needs('consul')('with a real server', () => {
  describeStore('Store of Consul 1.22, dev agent', () => openConsul('dev'), {
    promises: consulPromises,
    disturbances: ['breakable', 'guarded'],
    openTimeoutMs: 600_000,
  });
});
