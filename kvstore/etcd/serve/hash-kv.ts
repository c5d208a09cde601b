import { crc32 } from 'node:zlib';
import type { Engine, KeyValue } from '../../contract/index.ts';

const pageKeys = 2000;
const everything = { rangeEnd: new Uint8Array([0]) } as const;

/** What stands in a store at one revision, as a number: equal for equal content, whatever history led to it. */
export async function hashKeyValues(
  engine: Pick<Engine, 'hold'>,
  revision: number,
): Promise<{ readonly hash: number; readonly revision: number }> {
  // Others may compact it meanwhile.
  using held = engine.hold(revision === 0 ? undefined : revision);
  let hash = 0;
  for (let key: Uint8Array = new Uint8Array([0]); ;) {
    const page = await held.range({ key, ...everything, limit: pageKeys });
    for (const kv of page.kvs) hash = hashOf(kv, hash);
    const last = page.kvs.at(-1);
    if (!page.more || !last) return { hash, revision: held.revision };
    key = Buffer.concat([last.key, new Uint8Array(1)]);
  }
}

function hashOf({ key, value, createRevision, modRevision, version, lease }: KeyValue, before: number): number {
  const facts = `${key.length} ${value.length} ${createRevision} ${modRevision} ${version} ${lease} `;
  return crc32(value, crc32(key, crc32(facts, before)));
}
