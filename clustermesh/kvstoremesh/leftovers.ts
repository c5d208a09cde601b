import { type Store, toText } from '../../kvstore/index.ts';
import { basePrefix, clusterConfigPrefix, decodeClusterConfig, isClusterName } from '../wire/index.ts';
import { drainsPrefix } from './drain.ts';

const canariesPrefix = `${basePrefix}/synced/`;
const cacheCanary = /^([^/]+)\/cilium\/cache\//;

/**
 * Clusters that the local cache holds something of: those with a configuration whose data lies in the cache, with canaries of
 * the cache, or whose removal has begun (`draining`). The own cluster, whose configuration says nothing of a cache, is none of them.
 */
export async function cachedClusters(
  local: Pick<Store, 'list'>,
  signal: AbortSignal,
): Promise<{ readonly found: Set<string>; readonly draining: Set<string> }> {
  const found = new Set<string>();
  const draining = new Set<string>();
  await eachKey(local, clusterConfigPrefix, signal, (name, value) => {
    if (saysCached(name, value)) found.add(name);
  });
  await eachKey(local, canariesPrefix, signal, (rest) => {
    const [, name = ''] = cacheCanary.exec(rest) ?? [];
    if (name !== '') found.add(name);
  });
  await eachKey(local, drainsPrefix, signal, (name) => found.add(name) && draining.add(name));
  for (const name of found) if (!isClusterName(name)) found.delete(name);
  return { found, draining };
}

async function eachKey(
  local: Pick<Store, 'list'>,
  prefix: string,
  signal: AbortSignal,
  take: (rest: string, value: Uint8Array) => void,
): Promise<void> {
  for await (const { entries } of local.list(prefix, { signal }))
    for (const { key, value } of entries) take(toText(key).slice(prefix.length), value);
}

function saysCached(name: string, value: Uint8Array): boolean {
  try {
    return decodeClusterConfig(clusterConfigPrefix + name, value).cached;
  } catch {
    return false;
  }
}
