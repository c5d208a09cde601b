import { randomBytes } from 'node:crypto';
import { PermissionDeniedError } from '../../contract/index.ts';
import { toText } from '../../contract/index.ts';
import type { ConsulHttp } from '../http/index.ts';
import { kvPath, markName } from '../keys.ts';
import { type ReadSettings, readKey } from '../read.ts';

/**
 * The random number that stands for this incarnation of the store inside a prefix; made if there is none. Undefined
 * where we may not write it: then values are compared wherever the store may have been replaced.
 * @throws {PermissionDeniedError} where the prefix may not even be read.
 */
export async function ensureMark(
  http: ConsulHttp,
  prefix: string,
  settings: ReadSettings,
): Promise<string | undefined> {
  const key = prefix + markName;
  for (;;) {
    const { entry } = await readKey(http, key, settings);
    if (entry) return toText(entry.value);
    try {
      // Of several that try, one makes it; all then read the same.
      await http.call({
        method: 'PUT',
        path: kvPath(key, 'cas=0'),
        body: randomBytes(16).toString('hex'),
        repeatable: true,
        what: settings.what,
        signal: settings.signal,
      });
    } catch (error) {
      if (error instanceof PermissionDeniedError) return undefined;
      throw error;
    }
  }
}
