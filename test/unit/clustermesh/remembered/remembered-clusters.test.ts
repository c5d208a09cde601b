import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type ClusterContent, RememberedClusters, type RememberedRecord } from '../../../../clustermesh/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { createLogger } from '../../../../runtime/log/index.ts';
import { westConfig } from '../remote/support.ts';

const records: readonly RememberedRecord[] = [
  { kind: 'nodes', key: 'w1', value: '{"Name":"w1"}' },
  { kind: 'services', key: 'shop/web', value: '{"line":"one\\ntwo"}' },
  { kind: 'ip', key: '10.2.1.5', value: '{"ü":"\u2028"}' },
];
const content = (all: readonly RememberedRecord[] = records): ClusterContent => ({
  config: westConfig,
  kinds: ['nodes', 'services', 'identities', 'ip'].map((kind) => ({
    kind,
    records: all.filter((record) => record.kind === kind),
  })),
});

describe('what is remembered of remote clusters', () => {
  const clock = new VirtualClock();
  let directory: string;
  let warnings: string[];
  const open = (maxBytes?: number): RememberedClusters =>
    new RememberedClusters({
      directory: join(directory, 'remote-clusters'),
      clock,
      log: createLogger({ level: 'warn', format: 'json', clock, write: (line) => void warnings.push(line) }),
      ...(maxBytes === undefined ? {} : { maxBytes }),
    });
  const file = (name = 'west.jsonl'): string => join(directory, 'remote-clusters', name);

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'isthmus-remembered-'));
    warnings = [];
  });
  afterEach(async () => await rm(directory, { recursive: true, force: true }));

  test('comes back as it was saved, with the time at which it was last confirmed', async () => {
    await open().save('west', () => content());
    const saved = clock.now();
    const cluster = { config: westConfig, records, leftOut: [] };
    expect(await open().load('west')).toEqual({ state: 'found', cluster: { ...cluster, asOfMs: saved } });
    await clock.advance(90_000);
    expect(await open().confirm('west')).toBe(true);
    expect(await open().load('west')).toEqual({ state: 'found', cluster: { ...cluster, asOfMs: saved + 90_000 } });
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, 'remote-clusters'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(directory, 'remote-clusters'))).toEqual(['west.jsonl']);
    expect(warnings).toEqual([]);
  });

  test('is nothing when nothing was saved, or when it was forgotten', async () => {
    const remembered = open();
    expect(await remembered.load('west')).toEqual({ state: 'none' });
    expect(await remembered.confirm('west')).toBe(false);
    await remembered.save('west', () => content());
    await remembered.forget('west');
    expect(await remembered.load('west')).toEqual({ state: 'none' });
    expect(warnings).toEqual([]);
  });

  test('is larger than one chunk without harm', async () => {
    const many = Array.from({ length: 9000 }, (_, i) => ({ kind: 'ip', key: `10.2.${i}`, value: 'x'.repeat(80) }));
    await open().save('west', () => content(many));
    const found = await open().load('west');
    expect(found).toMatchObject({ state: 'found', cluster: { records: { length: 9000 } } });
  });

  test.each([
    { damage: 'is empty', change: () => '' },
    { damage: 'is cut in the middle of a line', change: (text: string) => text.slice(0, -150) },
    { damage: 'lacks its last line', change: (text: string) => text.split('\n').slice(0, -2).join('\n') },
    { damage: 'lacks a line', change: (text: string) => text.split('\n').toSpliced(1, 1).join('\n') },
    { damage: 'has another byte', change: (text: string) => text.replace('w1', 'w2') },
    { damage: 'is of another kind', change: () => '{"sha256":"","leftOut":[]}\n' },
  ])('is lost, with one line in the log, when its file $damage', async ({ change }) => {
    await open().save('west', () => content());
    await writeFile(file(), change(await readFile(file(), 'utf8')));
    expect(await open().load('west')).toMatchObject({ state: 'lost' });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('west.jsonl');
  });

  test('is lost when the file is that of another cluster', async () => {
    await open().save('north', () => content());
    await writeFile(file(), await readFile(file('north.jsonl')));
    expect(await open().load('west')).toEqual({ state: 'lost', reason: 'it belongs to another cluster' });
  });

  test('loses the largest kind, and says so once, when there is too much of it', async () => {
    const ips = Array.from({ length: 100 }, (_, i) => ({ kind: 'ip', key: `10.2.0.${i}`, value: 'x'.repeat(50) }));
    const remembered = open(2000);
    await remembered.save('west', () => content([...records, ...ips]));
    await remembered.save('west', () => content([...records, ...ips]));
    expect(await remembered.load('west')).toMatchObject({
      cluster: { records: [{ kind: 'nodes' }, { kind: 'services' }], leftOut: ['ip'] },
    });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('"leftOut":"ip"');
  });

  test('of clusters that are not configured is deleted, with what a killed process left half written', async () => {
    const remembered = open();
    for (const cluster of ['west', 'north']) await remembered.save(cluster, () => content());
    await writeFile(file('west.jsonl.new'), 'half');
    await writeFile(file('of somebody else'), '');
    await remembered.retain(new Set(['west']));
    expect((await readdir(join(directory, 'remote-clusters'))).toSorted()).toEqual(['of somebody else', 'west.jsonl']);
  });

  test('is written one file at a time, as it is when its turn comes', async () => {
    const remembered = open();
    const asked: string[] = [];
    const ask = (cluster: string) => () => {
      asked.push(cluster);
      return content();
    };
    const both = [remembered.save('west', ask('west')), remembered.save('north', ask('north'))];
    expect(asked).toEqual(['west']);
    await Promise.all(both);
    expect(asked).toEqual(['west', 'north']);
    expect((await remembered.load('north')).state).toBe('found');
  });

  test('stays as it was when it cannot be replaced', async () => {
    const remembered = open();
    await remembered.save('west', () => content());
    await mkdir(file('west.jsonl.new'));
    await expect(remembered.save('west', () => content([]))).rejects.toThrow('EISDIR');
    await rm(file('west.jsonl.new'), { recursive: true, force: true });
    expect(await remembered.load('west')).toMatchObject({ cluster: { records: { length: 3 } } });
  });
});
