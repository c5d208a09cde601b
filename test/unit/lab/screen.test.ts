import { describe, expect, test } from '@jest/globals';
import { type ScreenModel, renderScreen } from '../../../lab/screen/render.ts';

const paths = ['east/shop/a', 'east/shop/b', 'west/shop/c'];
const model: ScreenModel = {
  lab: 'default',
  clusters: [
    {
      name: 'east',
      id: 1,
      nodes: 2,
      endpoints: 2,
      identities: 2,
      services: 1,
      sharedServices: 1,
      heartbeatAgeSeconds: 3.2,
      state: 'ready',
    },
    {
      name: 'west',
      id: 2,
      nodes: 2,
      endpoints: 1,
      identities: 1,
      services: 1,
      sharedServices: 1,
      heartbeatAgeSeconds: 4,
      state: 'node-1 waits for nodes of east',
    },
  ],
  pods: paths.map((path) => ({ path, state: 'running' })),
  connectivity: {
    pairs: 6,
    ok: 5,
    failed: [{ from: 'east/shop/a', to: 'west/shop/c', error: 'timeout' }],
    strayPackets: 0,
  },
  services: [
    {
      namespace: 'shop',
      name: 'web',
      global: true,
      backends: { east: 1, west: 1 },
      requests: 80,
      failed: 0,
      answeredBy: { 'west/c': 40, 'east/a': 40 },
      errors: {},
    },
  ],
  upMs: 2345,
  firstCrossClusterMs: 1200,
  sendsPackets: true,
  kernelLines: [],
  commands: ['bin/isthmus lab stop east/shop/a', 'bin/isthmus lab cut east west', 'bin/isthmus get ips'],
};

describe('the live screen', () => {
  test('shows clusters, the matrix, who answers and what to try', () => {
    expect(renderScreen(model, 100, 40)).toEqual([
      'isthmus lab default: 2 clusters, up in 2.3 s, first cross-cluster answer in 1.2 s',
      '',
      'CLUSTER  HEARTBEAT  NODES  IDENTITIES  IPS  SERVICES  STATE',
      'east     3 s ago        2           2    2         1  ready',
      'west     4 s ago        2           1    1         1  node-1 waits for nodes of east',
      '',
      'connectivity: 5 of 6 pairs answer',
      'east/shop/a · ✓ ✗',
      'east/shop/b ✓ · ✓',
      'west/shop/c ✓ ✓ ·',
      '',
      'GLOBAL SERVICE  FAILED  ANSWERED BY',
      'shop/web             0  east/a 40, west/c 40',
      '',
      'Try, in another terminal:',
      '  bin/isthmus lab stop east/shop/a',
      '  bin/isthmus lab cut east west',
      '  bin/isthmus get ips',
      'Ctrl-C ends the lab and removes everything it made.',
    ]);
  });

  test('sums the matrix up by cluster when the terminal is too small, and never exceeds it', () => {
    const lines = renderScreen(model, 60, 18);
    expect(lines).toContain('east       2/2   1/2');
    expect(lines.length).toBeLessThanOrEqual(18);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
  });

  test('sums answers up by cluster where the names of pods do not fit, and says how much more there would be to see', () => {
    const pods = Object.fromEntries(['east/a', 'east/b', 'west/c'].map((pod) => [`${pod}-${'x'.repeat(20)}`, 10]));
    const services = Array.from({ length: 9 }, (_, i) => ({ ...model.services[0]!, name: `s${i}`, answeredBy: pods }));
    const lines = renderScreen({ ...model, services }, 60, 22);
    expect(lines).toHaveLength(22);
    expect(lines).toContain('shop/s0              0  east 20, west 10');
    expect(lines.at(-6)).toBe('… 5 more lines: enlarge the terminal to see them');
  });

  test('breaks a command that is too long as a shell reads it', () => {
    const command = 'bin/isthmus lab stop east/default/adservice-kbd2lb-vltln --name somewhat-long';
    const lines = renderScreen({ ...model, commands: [command] }, 60, 40);
    const shown = lines.slice(lines.indexOf('Try, in another terminal:') + 1, -1);
    expect(shown).toEqual([
      '  bin/isthmus lab stop east/default/adservice-kbd2lb-vltln \\',
      '    --name somewhat-long',
    ]);
    expect(
      shown
        .join('\n')
        .replaceAll(/ \\\n +/g, ' ')
        .trim(),
    ).toBe(command);
  });

  test.each([80, 60])('keeps the commands to try at the end of a terminal of %s by 12', (columns) => {
    const lines = renderScreen(model, columns, 12);
    expect(lines.length).toBeLessThanOrEqual(12);
    expect(lines.slice(-5)).toEqual([
      'Try, in another terminal:',
      '  bin/isthmus lab stop east/shop/a',
      '  bin/isthmus lab cut east west',
      '  bin/isthmus get ips',
      'Ctrl-C ends the lab and removes everything it made.',
    ]);
  });

  test('says plainly that an in-memory kernel sends no packet, and shows its state', () => {
    const { connectivity: _, ...rest } = model;
    const lines = renderScreen(
      { ...rest, sendsPackets: false, services: [], kernelLines: ['1: lo', '2: isth0'] },
      100,
      30,
    );
    expect(lines[0]).toContain('in-memory kernel: no packet is sent');
    expect(lines).toContain('2: isth0');
  });
});
