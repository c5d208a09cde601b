import { describe, expect, test } from '@jest/globals';
import { dropReasons, openRouterCounter } from '../../../datapath/index.ts';
import { parsePrefix } from '../../../values/ip/index.ts';
import type { OpenPlace } from './suite.ts';
import { openOn } from './support.ts';

export function describePrograms(open: OpenPlace): void {
  describe('programs', () => {
    test('run at the overlay device and at the endpoints that were attached', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      const [first, second] = place.podLinks;
      await datapath.attachEndpoint(first);
      await datapath.attachEndpoint(first);
      await datapath.attachEndpoint(second);
      const state = await place.kernel.describe();
      for (const program of ['from_overlay', 'host_to_overlay', 'from_pod', 'to_pod']) expect(state).toContain(program);
      await datapath.detachEndpoint(first);
      await datapath.keepEndpoints(new Set());
      const after = await place.kernel.describe();
      expect(after).toContain('from_overlay');
      expect(after).not.toContain('from_pod');
      await datapath.detachEndpoint(first);
    });

    test('cannot be attached to a device that does not exist', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      await expect(datapath.attachEndpoint(9999)).rejects.toThrow(/9999/);
    });

    test('go on when the process ends, and the tables with them', async () => {
      await using place = await open();
      const entry = { address: '10.1.0.1', link: 1, endpointId: 1, mac: '', nodeMac: '', identity: 300 };
      {
        await using datapath = await openOn(place);
        await datapath.endpoints.apply({ upsert: [entry] });
        await datapath.attachEndpoint(place.podLinks[0]);
      }
      await using datapath = await openOn(place);
      await datapath.attachEndpoint(place.podLinks[0]);
      expect(await datapath.endpoints.audit([entry], { prune: true })).toEqual({ written: 0, removed: 0, kept: 1 });
      await datapath.detachAll();
      expect(await place.kernel.describe()).not.toContain('from_pod');
    });

    test('count nothing at first, by every reason’s name', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      expect(datapath.dropCounters()).toEqual(dropReasons.slice(1).map((name) => ({ name, packets: 0, bytes: 0 })));
      expect(datapath.socketLevel).toBe(false);
    });

    test('of the router are told pod CIDRs and cuts', async () => {
      await using place = await open();
      await using counter = await openRouterCounter({
        kernel: place.kernel,
        links: place.podLinks,
        podCidrs: [parsePrefix('10.1.0.0/16')],
        pinDirectory: place.pinDirectory,
      });
      expect(counter.counts()).toEqual(['seen', 'pod address', 'cut'].map((name) => ({ name, packets: 0, bytes: 0 })));
      const pairs = [['172.30.1.2', '172.30.2.2']] as const;
      await counter.cut(pairs);
      await counter.cut(pairs);
      {
        using map = place.kernel.bpf.openMap(`${place.pinDirectory}/router_cut`);
        const keys: string[] = [];
        await map?.dump((key) => keys.push(Buffer.from(key).toString('hex')));
        expect(keys.sort()).toEqual(['ac1e0102ac1e0202', 'ac1e0202ac1e0102']);
      }
      await counter.heal(pairs);
      await counter.heal(pairs);
      using map = place.kernel.bpf.openMap(`${place.pinDirectory}/router_cut`);
      let left = 0;
      await map?.dump(() => left++);
      expect(left).toBe(0);
      await counter.detach();
    });
  });
}
