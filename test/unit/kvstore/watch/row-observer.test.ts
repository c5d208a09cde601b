import { describe, expect, test } from '@jest/globals';
import { createMeshView } from '../../../../clustermesh/view/index.ts';
import { decodeIp } from '../../../../clustermesh/wire/index.ts';
import {
  type PackedChanges,
  type WatchBatch,
  type WatchEvent,
  WatchStore,
  toBytes,
} from '../../../../kvstore/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { Random } from '../../../../runtime/random/index.ts';

const prefix = 'cilium/state/ip/v1/default/';
const restart: WatchBatch = { type: 'restart', reason: 'start' };
const synced: WatchBatch = { type: 'synced', revision: 9 };

interface Change {
  readonly key: string;
  /** Absent: deleted. */
  readonly value?: string;
}

function event({ key, value }: Change): WatchEvent {
  if (value === undefined) return { type: 'delete', key: toBytes(prefix + key), revision: 5 };
  const counts = { createRevision: 1, modRevision: 5, version: 1, lease: 0n };
  return { type: 'put', entry: { key: toBytes(prefix + key), value: toBytes(value), ...counts } };
}

function packed(changes: readonly Change[]): PackedChanges {
  const buffer = Buffer.from(changes.map(({ key, value = '' }) => `<${prefix}${key}|${value}>`).join(''));
  const spans: number[] = [];
  let at = 0;
  for (const { key, value } of changes) {
    const keyEnd = at + 1 + prefix.length + Buffer.byteLength(key);
    const valueEnd = keyEnd + 1 + Buffer.byteLength(value ?? '');
    spans.push(at + 1, keyEnd, ...(value === undefined ? [-1, -1] : [keyEnd + 1, valueEnd]));
    at = valueEnd + 1;
  }
  const all = { buffers: changes.map(() => buffer), revisions: changes.map(() => 5) };
  return { length: changes.length, spans, ...all };
}

/** A watch store over the table of a mesh view, told of the same changes as objects or as bytes. */
function scene(form: 'events' | 'packed') {
  const view = createMeshView({ ownCluster: 'east' });
  const writer = view.writer({ cluster: 'west', clusterId: 2 });
  const refused: string[] = [];
  const watch = new WatchStore({
    store: { async *listAndWatch() {} },
    prefix,
    log: silentLogger,
    observer: {
      rows: writer.ipRows(),
      upsert: (key, value) => {
        try {
          writer.upsertIp(decodeIp(key, value));
        } catch {
          refused.push(key);
        }
      },
      remove: (key) => writer.removeIp(key.includes('/') ? key : `${key}/32`),
    },
  });
  return {
    watch,
    view,
    refused,
    play: async (...batches: readonly (WatchBatch | readonly Change[])[]): Promise<void> => {
      const listAndWatch = async function* (): AsyncGenerator<WatchBatch, void, void> {
        for (const batch of batches) {
          if ('type' in batch) yield batch;
          else {
            const events = batch.map(event);
            yield { type: 'changes', events, revision: 5, ...(form === 'packed' ? { packed: packed(batch) } : {}) };
          }
        }
      };
      await watch.run(new AbortController().signal, { listAndWatch });
    },
    known: () => [...view.ipPrefixes()].toSorted((a, b) => (a < b ? -1 : 1)),
  };
}

const plain = (ip: string, id = 7): string => `{"IP":"${ip}","Mask":null,"HostIP":"","ID":${id},"Key":0,"Metadata":""}`;
const spaced = (ip: string): string => plain(ip).replaceAll(',', ', ');

describe.each(['events', 'packed'] as const)('a watch store whose observer keeps rows, told by %s', (form) => {
  test('has one row a key, in whatever form its value comes', async () => {
    const { watch, play, known } = scene(form);
    await play(restart, [
      { key: '10.0.0.1', value: plain('10.0.0.1') },
      { key: '10.0.0.2', value: spaced('10.0.0.2') },
    ]);
    expect([known(), watch.size]).toEqual([['10.0.0.1/32', '10.0.0.2/32'], 2]);
    await play(restart, [
      { key: '10.0.0.1', value: spaced('10.0.0.1') },
      { key: '10.0.0.2', value: plain('10.0.0.2') },
    ]);
    expect([known(), watch.size]).toEqual([['10.0.0.1/32', '10.0.0.2/32'], 2]);
    await play(restart, [{ key: '10.0.0.1' }, { key: '10.0.0.2' }]);
    expect([known(), watch.size, watch.counts.removes]).toEqual([[], 0, 2]);
  });

  test('sweeps rows and refused keys that a complete listing lacks, and nothing before', async () => {
    const { watch, play, known, refused } = scene(form);
    const one = { key: '10.0.0.1', value: plain('10.0.0.1') };
    await play(restart, [one, { key: '10.0.0.2', value: plain('10.0.0.2') }, { key: 'bad', value: '{}' }], synced);
    expect([watch.size, refused]).toEqual([3, ['bad']]);
    await play(restart, [one]);
    expect(known()).toEqual(['10.0.0.1/32', '10.0.0.2/32']);
    await play(restart, [one], synced);
    expect([known(), watch.size, watch.counts.swept]).toEqual([['10.0.0.1/32'], 1, 2]);
    watch.drain();
    expect([known(), watch.size]).toEqual([[], 0]);
  });

  test('keeps a row whose new value is refused', async () => {
    const { play, known, watch } = scene(form);
    await play(
      restart,
      [
        { key: '10.0.0.1', value: plain('10.0.0.1') },
        { key: '10.0.0.1', value: '{"IP":7}' },
      ],
      synced,
    );
    expect([known(), watch.size]).toEqual([['10.0.0.1/32'], 1]);
  });
});

test('objects and bytes lead to the same end', async () => {
  const random = new Random(3);
  const batches = Array.from({ length: 60 }, (): WatchBatch | Change[] => {
    if (random.chance(0.1)) return random.chance(0.5) ? restart : synced;
    return Array.from({ length: random.int(12) }, (): Change => {
      const ip = `10.0.0.${random.int(20)}`;
      const value = random.pick([plain(ip, random.int(4)), spaced(ip), 'no JSON', plain('10.9.9.9')]);
      return random.chance(0.25) ? { key: ip } : { key: ip, value };
    });
  });
  const [a, b] = [scene('events'), scene('packed')];
  await a.play(restart, ...batches);
  await b.play(restart, ...batches);
  expect([...a.view.ips()]).toEqual([...b.view.ips()]);
  expect(a.watch.counts).toEqual(b.watch.counts);
  expect(a.watch.size).toBe(b.watch.size);
});
