import { describe, expect, test } from '@jest/globals';
import { createMetrics } from '../../../runtime/metrics/index.ts';

describe('metrics', () => {
  test('prints counters, gauges and histograms in the text format, under the prefix', async () => {
    const metrics = createMetrics({ prefix: 'isthmus_' });
    const errors = metrics.counter({ name: 'sync_errors_total', help: 'Errors', labels: ['scope'] });
    errors.inc({ scope: 'nodes/v1' });
    errors.add(2, { scope: 'nodes/v1' });
    metrics.gauge({ name: 'remote_clusters', help: 'Remotes' }).set(3);
    const seconds = metrics.histogram({ name: 'op_seconds', help: 'Time', labels: ['kind'], buckets: [0.1, 1] });
    seconds.observe(0.5, { kind: 'read' });
    const text = await metrics.text();
    expect(text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([
      'isthmus_sync_errors_total{scope="nodes/v1"} 3',
      'isthmus_remote_clusters 3',
      'isthmus_op_seconds_bucket{le="0.1",kind="read"} 0',
      'isthmus_op_seconds_bucket{le="1",kind="read"} 1',
      'isthmus_op_seconds_bucket{le="+Inf",kind="read"} 1',
      'isthmus_op_seconds_sum{kind="read"} 0.5',
      'isthmus_op_seconds_count{kind="read"} 1',
    ]);
    expect(text).toContain('# HELP isthmus_remote_clusters Remotes\n# TYPE isthmus_remote_clusters gauge\n');
  });

  test('gives the same metric to everybody who asks for its name', async () => {
    const metrics = createMetrics({ prefix: 'x_' });
    const spec = { name: 'seen_total', help: 'Seen', labels: ['cluster'] } as const;
    metrics.counter(spec).inc({ cluster: 'east' });
    metrics.counter(spec).inc({ cluster: 'east' });
    expect(await metrics.text()).toContain('x_seen_total{cluster="east"} 2');
    expect(() => metrics.gauge(spec)).toThrow('Metric seen_total is already a counter by [cluster]');
    expect(() => metrics.counter({ name: 'seen_total', help: 'Seen' })).toThrow(TypeError);
  });

  test('forgets one series when asked to', async () => {
    const metrics = createMetrics({ prefix: '' });
    const ready = metrics.gauge({ name: 'ready', help: 'Ready', labels: ['target_cluster'] });
    ready.set(1, { target_cluster: 'east' });
    ready.set(0, { target_cluster: 'west' });
    ready.remove({ target_cluster: 'east' });
    const text = await metrics.text();
    expect(text).not.toContain('east');
    expect(text).toContain('ready{target_cluster="west"} 0');
  });

  test('asks for fresh values before each output, until told not to', async () => {
    const metrics = createMetrics({ prefix: '' });
    const gauge = metrics.gauge({ name: 'asked', help: 'Times asked' });
    let times = 0;
    const refreshing = metrics.onScrape(() => gauge.set(++times));
    await metrics.text();
    expect(await metrics.text()).toContain('asked 2');
    refreshing[Symbol.dispose]();
    expect(await metrics.text()).toContain('asked 2');
  });

  test('adds the usual process metrics when asked, without a prefix', async () => {
    const text = await createMetrics({ prefix: 'isthmus_', process: true }).text();
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'process_start_time_seconds'])
      expect(text).toMatch(new RegExp(`^${name} [0-9.e+]+$`, 'm'));
  });
});
