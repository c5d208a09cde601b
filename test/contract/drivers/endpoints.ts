import { describe, expect, test } from '@jest/globals';
import type { EndpointEntry } from '../../../datapath/index.ts';
import type { OpenPlace } from './suite.ts';
import { openOn, rowsOf } from './support.ts';

const pod: EndpointEntry = {
  address: '10.1.0.1',
  link: 12,
  endpointId: 7,
  mac: '02:00:00:00:00:11',
  nodeMac: '02:00:00:00:00:12',
  identity: 65_793,
};
const host: EndpointEntry = {
  address: '172.30.1.2',
  link: 0,
  endpointId: 0,
  mac: '',
  nodeMac: '',
  identity: 1,
  host: true,
};

export function describeEndpoints(open: OpenPlace): void {
  describe('endpoints', () => {
    test('of pods and of the node itself have the bytes of the specification', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      await datapath.endpoints.apply({ upsert: [pod, host] });
      expect(await rowsOf(place, 'endpoints')).toEqual(
        [
          '0a010001000000000000000000000000 01 00 0000 | 0c000000 0000 0700 00000000 00000000 0200000000110000 0200000000120000 01010100 00000000 0000000000000000',
          'ac1e0102000000000000000000000000 01 00 0000 | 00000000 0000 0000 01000000 00000000 0000000000000000 0000000000000000 01000000 00000000 0000000000000000',
        ].map((row) => row.replaceAll(' ', '').replace('|', ' ')),
      );
    });

    test('are audited', async () => {
      await using place = await open();
      await using datapath = await openOn(place);
      await datapath.endpoints.apply({ upsert: [pod, host] });
      const moved = { ...pod, link: 13 };
      expect(await datapath.endpoints.audit([moved], { prune: true })).toEqual({ written: 1, removed: 1, kept: 0 });
      expect(await datapath.endpoints.audit([moved], { prune: true })).toEqual({ written: 0, removed: 0, kept: 1 });
      await datapath.endpoints.apply({ remove: [datapath.endpoints.keyOf(moved)] });
      expect(await rowsOf(place, 'endpoints')).toEqual([]);
    });
  });
}
