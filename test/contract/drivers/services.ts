import { describe, expect, test } from '@jest/globals';
import type { ServiceBackend, ServiceEntry } from '../../../datapath/index.ts';
import type { OpenPlace } from './suite.ts';
import { openOn, rawMap, rowsOf, servicesOf } from './support.ts';

function service(last: number, ...backends: readonly string[]): ServiceEntry {
  return {
    address: `10.96.0.${last}`,
    port: 80,
    protocol: 'TCP',
    backends: backends.map((text): ServiceBackend => {
      const [address = '', state] = text.split(' ');
      return { address, port: 8080, state: state === 'terminating' ? 'terminating' : 'active' };
    }),
  };
}

export function describeServices(open: OpenPlace): void {
  describe('services', () => {
    test('are found with their backends, and gone with all their rows when removed', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      const udp: ServiceEntry = { ...service(1, '10.1.0.9'), protocol: 'UDP' };
      await datapath.services.apply({ upsert: [service(1, '10.1.0.1', '10.1.0.2'), service(2), udp] });
      expect(await servicesOf(place)).toEqual([
        '10.96.0.1:80/17 → 10.1.0.9:8080',
        '10.96.0.1:80/6 → 10.1.0.1:8080, 10.1.0.2:8080',
        '10.96.0.2:80/6 → ',
      ]);
      await datapath.services.apply({ remove: ['10.96.0.1:80/TCP', '10.96.0.2:80/TCP', '10.96.0.1:80/UDP'] });
      for (const map of ['services', 'backends', 'revNats', 'affinityMatches'] as const)
        expect(await rowsOf(place, map)).toEqual([]);
    });

    test('change their backends, which stay as long as one service needs them', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      await datapath.services.apply({ upsert: [service(1, '10.1.0.1', '10.1.0.2'), service(2, '10.1.0.2')] });
      await datapath.services.apply({ upsert: [service(1, '10.1.0.3')] });
      expect(await servicesOf(place)).toEqual(['10.96.0.1:80/6 → 10.1.0.3:8080', '10.96.0.2:80/6 → 10.1.0.2:8080']);
      expect(await rowsOf(place, 'backends')).toHaveLength(2);
      await datapath.services.apply({ remove: ['10.96.0.2:80/TCP'] });
      expect(await rowsOf(place, 'backends')).toHaveLength(1);
    });

    test('prefer active backends, and are served by terminating ones when there is no other', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      await datapath.services.apply({ upsert: [service(1, '10.1.0.1 terminating', '10.1.0.2')] });
      expect(await servicesOf(place)).toEqual(['10.96.0.1:80/6 → 10.1.0.2:8080']);
      await datapath.services.apply({ upsert: [service(1, '10.1.0.1 terminating', '10.1.0.2 terminating')] });
      expect(await servicesOf(place)).toEqual([
        '10.96.0.1:80/6 → 10.1.0.1:8080 terminating, 10.1.0.2:8080 terminating',
      ]);
    });

    test('have the bytes of the specification', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      await datapath.services.apply({ upsert: [{ ...service(1, '10.1.0.1'), affinitySeconds: 300 }] });
      const spaced = (rows: readonly string[]) => rows.map((row) => row.replaceAll(' ', '').replace('|', ' '));
      expect(await rowsOf(place, 'services')).toEqual(
        spaced([
          '0a600001 0050 0000 06 00 0000 | 2c010001 0100 0001 10 00 0000',
          '0a600001 0050 0100 06 00 0000 | 01000000 0000 0001 10 00 0000',
        ]),
      );
      expect(await rowsOf(place, 'backends')).toEqual(spaced(['01000000 | 0a010001 1f90 06 00 0000 00 00']));
      expect(await rowsOf(place, 'revNats')).toEqual(spaced(['0001 | 0a600001 0050']));
      expect(await rowsOf(place, 'affinityMatches')).toEqual(spaced(['01000000 0001 0000 | 01']));
    });

    test('keep their numbers when another process takes over', async () => {
      await using place = await open();
      const entries = [service(1, '10.1.0.1', '10.1.0.2'), service(2, '10.1.0.2')];
      {
        await using datapath = await openOn(place);
        await datapath.services.apply({ upsert: entries });
      }
      const before = await rowsOf(place, 'services');
      await using datapath = await openOn(place);
      expect(await datapath.services.audit(entries, { prune: true })).toEqual({ written: 0, removed: 0, kept: 2 });
      expect(await rowsOf(place, 'services')).toEqual(before);
      await datapath.services.apply({ upsert: [service(3, '10.1.0.2', '10.1.0.4')] });
      expect(await servicesOf(place)).toEqual([
        '10.96.0.1:80/6 → 10.1.0.1:8080, 10.1.0.2:8080',
        '10.96.0.2:80/6 → 10.1.0.2:8080',
        '10.96.0.3:80/6 → 10.1.0.2:8080, 10.1.0.4:8080',
      ]);
      expect(await rowsOf(place, 'backends')).toHaveLength(3);
    });

    test('that nobody desires stay without prune, and go with it', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      await datapath.services.apply({ upsert: [service(1, '10.1.0.1'), service(2, '10.1.0.2', '10.1.0.3')] });
      const desired = [service(2, '10.1.0.2')];
      expect(await datapath.services.audit(desired, { prune: false })).toEqual({ written: 1, removed: 0, kept: 0 });
      expect(await servicesOf(place)).toEqual(['10.96.0.1:80/6 → 10.1.0.1:8080', '10.96.0.2:80/6 → 10.1.0.2:8080']);
      expect(await datapath.services.audit(desired, { prune: true })).toEqual({ written: 0, removed: 1, kept: 1 });
      expect(await servicesOf(place)).toEqual(['10.96.0.2:80/6 → 10.1.0.2:8080']);
      expect(await rowsOf(place, 'backends')).toHaveLength(1);
      expect(await rowsOf(place, 'revNats')).toHaveLength(1);
    });

    test('are mended by an audit after somebody else took rows away and put others in', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      const desired = [service(1, '10.1.0.1', '10.1.0.2'), service(2, '10.1.0.2')];
      await datapath.services.apply({ upsert: desired });
      const before = await rowsOf(place, 'services');
      {
        using services = rawMap(place, 'services');
        using backends = rawMap(place, 'backends');
        const slot = before.find((row) => row.startsWith('0a60000100500100'));
        services.delete(Buffer.from((slot ?? '').split(' ')[0] ?? '', 'hex'));
        services.update(Buffer.from('0a60000900500500060000ff', 'hex'), Buffer.alloc(12, 7));
        backends.update(Buffer.from([99, 0, 0, 0]), Buffer.alloc(12, 7));
      }
      const audit = await datapath.services.audit(desired, { prune: true });
      expect(audit.written + audit.kept).toBe(2);
      expect(audit.written).toBeGreaterThan(0);
      expect(await servicesOf(place)).toEqual([
        '10.96.0.1:80/6 → 10.1.0.1:8080, 10.1.0.2:8080',
        '10.96.0.2:80/6 → 10.1.0.2:8080',
      ]);
      expect(await rowsOf(place, 'services')).toHaveLength(5);
      expect(await rowsOf(place, 'backends')).toHaveLength(2);
    });

    test('of the other family, and such backends, are passed over', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      const entries = [service(1, '10.1.0.1', 'fd00::1'), { ...service(2, 'fd00::2'), address: 'fd00:96::1' }];
      await datapath.services.apply({ upsert: entries });
      expect(await servicesOf(place)).toEqual(['10.96.0.1:80/6 → 10.1.0.1:8080']);
      expect(await datapath.services.audit(entries, { prune: true })).toEqual({ written: 0, removed: 0, kept: 1 });
    });

    test('end in the same tables whatever states they went through before', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      const random = numbers(42);
      const pick = (): string[] =>
        Array.from({ length: 6 }, (_, i) => `10.1.0.${i + 1}`)
          .filter(() => random() < 0.5)
          .map((address) => (address > '10.1.0.4' ? `${address} terminating` : address));
      const state = new Map<string, ServiceEntry>();
      for (let round = 0; round < 60; round++) {
        const entry = service(Math.floor(random() * 5), ...pick());
        const key = datapath.services.keyOf(entry);
        if (random() < 0.3) {
          state.delete(key);
          await datapath.services.apply({ remove: [key] });
        } else {
          state.set(key, entry);
          if (random() < 0.2) await datapath.services.audit(state.values(), { prune: true });
          else await datapath.services.apply({ upsert: [entry] });
        }
      }
      const lines = await servicesOf(place);
      const rows = (await rowsOf(place, 'services')).length;
      expect(await datapath.services.audit(state.values(), { prune: true })).toMatchObject({ written: 0, removed: 0 });
      await datapath.services.audit([], { prune: true });
      expect(await rowsOf(place, 'backends')).toEqual([]);
      await datapath.services.audit(state.values(), { prune: true });
      expect(await servicesOf(place)).toEqual(lines);
      expect(await rowsOf(place, 'services')).toHaveLength(rows);
    });
  });
}

/** The same numbers in [0, 1) on every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
