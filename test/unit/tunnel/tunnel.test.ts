import { describe, expect, test } from '@jest/globals';
import type { Link } from '../../../kernel/index.ts';
import {
  type MtuMode,
  type NodeRoute,
  type OverlayPlan,
  indexRoutes,
  overlayPlan,
  routeChanges,
  routeMtu,
} from '../../../tunnel/index.ts';
import { parsePrefix } from '../../../values/ip/index.ts';

describe('the route MTU', () => {
  test.each<{ readonly mode: MtuMode; readonly mtu: number }>([
    { mode: { underlay: 4, tunnel: false, encryption: 'none' }, mtu: 1500 },
    { mode: { underlay: 4, tunnel: false, encryption: 'wireguard' }, mtu: 1420 },
    { mode: { underlay: 4, tunnel: true, encryption: 'none' }, mtu: 1450 },
    { mode: { underlay: 6, tunnel: true, encryption: 'none' }, mtu: 1430 },
    { mode: { underlay: 4, tunnel: true, encryption: 'wireguard' }, mtu: 1370 },
    { mode: { underlay: 6, tunnel: true, encryption: 'wireguard' }, mtu: 1350 },
    { mode: { underlay: 4, tunnel: false, encryption: 'ipsec' }, mtu: 1423 },
    { mode: { underlay: 4, tunnel: true, encryption: 'ipsec' }, mtu: 1373 },
    { mode: { underlay: 6, tunnel: true, encryption: 'ipsec' }, mtu: 1353 },
  ])('on a device of 1500 is $mtu with $mode', ({ mode, mtu }) => {
    expect(routeMtu(1500, mode)).toBe(mtu);
  });

  test('is refused when too little is left', () => {
    expect(() => routeMtu(600, { underlay: 4, tunnel: true, encryption: 'none' })).toThrow('leaves 550 bytes');
  });
});

const device = { protocol: 'vxlan', name: 'isth0', port: 8472, mtu: 1450 } as const;
const good: Link = {
  name: 'isth0',
  index: 7,
  kind: 'vxlan',
  mtu: 1450,
  up: true,
  mac: '02:00:00:00:00:01',
  master: 0,
  vxlan: { collectMetadata: true, port: 8472, vni: 0 },
};

describe('the overlay device', () => {
  test.each<{ readonly when: string; readonly actual: Link | undefined; readonly plan: OverlayPlan }>([
    { when: 'it is missing', actual: undefined, plan: { type: 'create' } },
    { when: 'it is right', actual: good, plan: { type: 'keep' } },
    { when: 'its MTU differs', actual: { ...good, mtu: 1500 }, plan: { type: 'change', mtu: 1450 } },
    { when: 'it is down', actual: { ...good, up: false }, plan: { type: 'change', up: true } },
    {
      when: 'its port differs',
      actual: { ...good, vxlan: { collectMetadata: true, port: 4789, vni: 0 } },
      plan: { type: 'replace', reason: 'it uses port 4789' },
    },
    {
      when: 'it has a fixed VNI',
      actual: { ...good, vxlan: { collectMetadata: false, port: 8472, vni: 5 } },
      plan: { type: 'replace', reason: 'it has a fixed VNI' },
    },
    {
      when: 'it is another kind of device',
      actual: { ...good, kind: 'dummy' },
      plan: { type: 'replace', reason: 'it is a dummy device' },
    },
  ])('is treated as gently as possible when $when', ({ actual, plan }) => {
    expect(overlayPlan(device, actual)).toEqual(plan);
  });
});

const west: NodeRoute = { destination: parsePrefix('10.2.0.0/24'), device: 'isth0', mtu: 1450 };
const north: NodeRoute = { destination: parsePrefix('10.3.0.0/24'), device: 'isth0', mtu: 1450, source: '172.30.1.2' };

describe('routes of a node', () => {
  test.each<{
    readonly when: string;
    readonly desired: readonly NodeRoute[];
    readonly actual: readonly NodeRoute[];
    readonly upsert: readonly NodeRoute[];
    readonly remove: readonly NodeRoute[];
  }>([
    { when: 'nothing exists', desired: [north, west], actual: [], upsert: [west, north], remove: [] },
    { when: 'all is in place', desired: [west, north], actual: [north, west], upsert: [], remove: [] },
    { when: 'the MTU differs', desired: [west], actual: [{ ...west, mtu: 1500 }], upsert: [west], remove: [] },
    {
      when: 'the source differs',
      desired: [west],
      actual: [{ ...west, source: '1.2.3.4' }],
      upsert: [west],
      remove: [],
    },
    { when: 'the peer has left', desired: [], actual: [west], upsert: [], remove: [west] },
  ])('change the least when $when', ({ desired, actual, upsert, remove }) => {
    expect(routeChanges(indexRoutes(desired), indexRoutes(actual))).toEqual({ upsert, remove });
  });
});
