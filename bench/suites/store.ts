import { etcdVersion } from '../../test/support/etcd.ts';
import type { Suite } from '../suite.ts';
import { growth } from './store/growth.ts';
import { StoreBench } from './store/parts.ts';
import { serving } from './store/serving.ts';
import { sync } from './store/sync.ts';
import { watching } from './store/watching.ts';

const parts = [serving, sync, watching, growth];

/**
 * Both sides of a store: our server against real etcd, driven by the same Go client; and our client against the Go client,
 * reading the same etcd. Every single run is kept in `bench/raw/store.json`.
 */
export const suite: Suite = {
  name: 'store',
  summary: `serving and reading the etcd v3 API, against etcd ${etcdVersion} and its Go client`,
  rows: parts.flatMap(({ rows }) => rows),
  measure: async (context) => {
    const bench = new StoreBench(context);
    try {
      for (const part of parts) await part.measure(bench);
    } finally {
      await bench.save();
    }
  },
};
