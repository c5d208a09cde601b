import { describe, expect, test } from '@jest/globals';
import type { IpcacheEntry } from '../../../datapath/index.ts';
import { hostPrefix, nthAddress, parsePrefix } from '../../../values/ip/index.ts';
import type { OpenPlace } from './suite.ts';
import { ipcacheOf, openOn, rawMap, rowsOf } from './support.ts';

function entry(prefix: string, identity: number, tunnelEndpoint?: string): IpcacheEntry {
  return {
    prefix: parsePrefix(prefix),
    identity,
    encryptKey: 0,
    ...(tunnelEndpoint === undefined ? {} : { tunnelEndpoint }),
  };
}

export function describeIpcache(open: OpenPlace): void {
  describe('the ipcache', () => {
    test('holds what was applied, and no longer what was removed', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      const first = entry('10.2.0.1/32', 300, '172.30.2.2');
      const second = entry('10.2.0.0/24', 2, '172.30.2.2');
      await datapath.ipcache.apply({ upsert: [first, second] });
      expect(await ipcacheOf(place)).toEqual(['10.2.0.0/24 is 2 via 172.30.2.2', '10.2.0.1/32 is 300 via 172.30.2.2']);
      await datapath.ipcache.apply({ upsert: [entry('10.2.0.1/32', 301)], remove: [datapath.ipcache.keyOf(second)] });
      expect(await ipcacheOf(place)).toEqual(['10.2.0.1/32 is 301']);
    });

    test('bears the same change twice, and the removal of what is not there', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      const change = { upsert: [entry('10.2.0.1/32', 300)], remove: ['10.9.0.0/16'] };
      await datapath.ipcache.apply(change);
      await datapath.ipcache.apply(change);
      await datapath.ipcache.apply({});
      expect(await ipcacheOf(place)).toEqual(['10.2.0.1/32 is 300']);
    });

    test('keeps a key that a change both writes and removes', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      await datapath.ipcache.apply({ upsert: [entry('10.2.0.1/32', 300)], remove: ['10.2.0.1/32'] });
      expect(await ipcacheOf(place)).toEqual(['10.2.0.1/32 is 300']);
    });

    test('writes only what differs when it is audited', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      const right = entry('10.2.0.1/32', 300);
      const wrong = entry('10.2.0.2/32', 301);
      await datapath.ipcache.apply({ upsert: [right, wrong, entry('10.2.0.3/32', 302)] });
      const desired = [right, { ...wrong, identity: 400 }, entry('10.2.0.4/32', 303)];
      expect(await datapath.ipcache.audit(desired, { prune: false })).toEqual({ written: 2, removed: 0, kept: 1 });
      expect(await ipcacheOf(place)).toHaveLength(4);
      expect(await datapath.ipcache.audit(desired, { prune: true })).toEqual({ written: 0, removed: 1, kept: 3 });
      expect(await datapath.ipcache.audit(desired, { prune: true })).toEqual({ written: 0, removed: 0, kept: 3 });
    });

    test('is mended by an audit after somebody else changed it', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      const desired = [entry('10.2.0.1/32', 300, '172.30.2.2'), entry('10.2.0.2/32', 301, '172.30.2.2')];
      await datapath.ipcache.apply({ upsert: desired });
      const before = await rowsOf(place, 'ipcache');
      {
        using map = rawMap(place, 'ipcache');
        const [first, second] = before.map((row) => Buffer.from(row.split(' ')[0] ?? '', 'hex'));
        map.update(first ?? Buffer.alloc(24), Buffer.alloc(24, 1));
        map.delete(second ?? Buffer.alloc(24));
      }
      expect(await datapath.ipcache.audit(desired, { prune: true })).toEqual({ written: 2, removed: 0, kept: 0 });
      expect(await rowsOf(place, 'ipcache')).toEqual(before);
    });

    test('takes thousands of prefixes of both families in one change', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      const entries = Array.from({ length: 5000 }, (_, i) => ({
        prefix: hostPrefix(nthAddress(parsePrefix(i % 2 === 0 ? '10.0.0.0/8' : 'fd00::/64'), i)),
        identity: 256 + i,
        tunnelEndpoint: '172.30.2.2',
        encryptKey: 0,
      }));
      await datapath.ipcache.apply({ upsert: entries });
      expect(await datapath.ipcache.audit(entries, { prune: true })).toEqual({ written: 0, removed: 0, kept: 5000 });
      await datapath.ipcache.apply({ remove: entries.slice(1).map((value) => datapath.ipcache.keyOf(value)) });
      expect(await ipcacheOf(place)).toEqual(['10.0.0.0/32 is 256 via 172.30.2.2']);
    });

    test('applies changes in the order of the calls, also when nobody waits', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      const calls = Array.from({ length: 20 }, (_, i) =>
        datapath.ipcache.apply(i % 2 === 0 ? { upsert: [entry('10.2.0.1/32', i)] } : { remove: ['10.2.0.1/32'] }),
      );
      calls.push(datapath.ipcache.apply({ upsert: [entry('10.2.0.1/32', 300)] }));
      await Promise.all(calls);
      expect(await ipcacheOf(place)).toEqual(['10.2.0.1/32 is 300']);
    });
  });
}
