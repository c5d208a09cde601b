import { UnavailableError, type WriteResult } from '../../contract/index.ts';
import type { ConsulHttp } from '../http/index.ts';
import { kvPath, sessionOfLease } from '../keys.ts';
import { type ReadSettings, readKey } from '../read.ts';
import { nextFlags } from './wire.ts';

/** Values of more bytes than this do not fit into a transaction, where they are base64. */
export const largeValueBytes = 380 * 1024;

const attempts = 50;

/** A put whose value goes as it is. Where the key changes its lease, that takes two writes. */
export async function putLarge(
  http: ConsulHttp,
  key: string,
  value: Uint8Array,
  lease: bigint,
  settings: ReadSettings,
): Promise<WriteResult> {
  const write = async (condition: string): Promise<boolean> => {
    const path = kvPath(key, `${condition}&flags=${nextFlags()}`);
    return (await http.call({ method: 'PUT', path, body: value, ...settings })).text.trim() === 'true';
  };
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const { entry } = await readKey(http, key, settings);
    const holder = entry?.lease ?? 0n;
    if (holder !== 0n && holder !== lease && !(await write(`release=${sessionOfLease(holder)}`))) continue;
    if (lease !== 0n) {
      if (!(await write(`acquire=${sessionOfLease(lease)}`))) continue;
    } else if (holder === 0n && !(await write(`cas=${entry?.modRevision ?? 0}`))) continue;
    const after = await readKey(http, key, settings);
    return { revision: http.saw(after.entry?.modRevision ?? after.index) };
  }
  throw new UnavailableError(`Cannot ${settings.what}: the key changes all the time`);
}
