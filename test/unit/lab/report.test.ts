import { describe, expect, test } from '@jest/globals';
import { type LabReport, isHealthy, reportText } from '../../../lab/report/index.ts';

const healthy: LabReport = {
  clusters: [
    {
      name: 'east',
      id: 1,
      nodes: 2,
      endpoints: 3,
      identities: 3,
      services: 2,
      sharedServices: 1,
      heartbeatAgeSeconds: 1,
      state: 'ready',
    },
  ],
  connectivity: { pairs: 6, ok: 6, failed: [], strayPackets: 0 },
  services: [
    {
      namespace: 'shop',
      name: 'web',
      global: true,
      backends: { east: 1 },
      requests: 40,
      failed: 0,
      answeredBy: { 'east/a': 40 },
      errors: {},
    },
  ],
  failover: [
    { service: 'shop/web', stopped: 'east', requests: 1000, failed: 0, blackoutMs: 12, answeredBy: {}, errors: {} },
  ],
  timings: { upMs: 2000, firstCrossClusterMs: 1500, downMs: 300 },
  kernel: 'linux',
  problems: [],
  warnings: [],
};

describe('the report', () => {
  test.each([
    {
      fault: 'a pair failed',
      report: {
        ...healthy,
        connectivity: { ...healthy.connectivity, ok: 5, failed: [{ from: 'a', to: 'b', error: 'timeout' }] },
      },
    },
    { fault: 'a pair was not tried', report: { ...healthy, connectivity: { ...healthy.connectivity, ok: 5 } } },
    {
      fault: 'the router saw pod addresses',
      report: { ...healthy, connectivity: { ...healthy.connectivity, strayPackets: 1 } },
    },
    {
      fault: 'a request to a Service failed',
      report: { ...healthy, services: healthy.services.map((service) => ({ ...service, failed: 1 })) },
    },
    {
      fault: 'a request failed during failover',
      report: { ...healthy, failover: healthy.failover.map((result) => ({ ...result, failed: 1 })) },
    },
    { fault: 'a cluster was not ready', report: { ...healthy, problems: ['cluster east: node-1 does not answer'] } },
  ])('is not healthy when $fault', ({ report }) => {
    expect(isHealthy(report)).toBe(false);
    expect(reportText(report)).toContain('Something is wrong.');
  });

  test('says what failed, and how', () => {
    const errors = { ECONNRESET: 2, timeout: 1 };
    const services = healthy.services.map((service) => ({ ...service, failed: 3, errors }));
    const failover = healthy.failover.map((result) => ({ ...result, failed: 3, errors }));
    const text = reportText({ ...healthy, services, failover });
    expect(text).toContain('FAILED shop/web: 3 of 40 requests (ECONNRESET 2, timeout 1)');
    expect(text).toContain('FAILED failover of shop/web: 3 of 1000 requests (ECONNRESET 2, timeout 1)');
  });

  test('is healthy when nothing failed, and says so', () => {
    expect(isHealthy(healthy)).toBe(true);
    expect(reportText(healthy)).toContain('6 of 6 pairs of pods answer');
    expect(reportText(healthy)).toContain('All is well.');
  });
});
