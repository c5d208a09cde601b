import type { Clock } from '../../runtime/clock/index.ts';
import { UnavailableError } from '../contract/index.ts';
import type { ConsulHttp } from './http/index.ts';
import { kvPath } from './keys.ts';
import { type ReadSettings, indexOf } from './read.ts';

const afterFailureMs = 200;

/** Settles when a key is gone, by blocking queries on that key alone. */
export async function untilGone(
  http: ConsulHttp,
  clock: Clock,
  key: string,
  waitMs: number,
  settings: ReadSettings & { readonly signal: AbortSignal },
): Promise<void> {
  for (let index = 0; ;) {
    try {
      const path = kvPath(key, index === 0 ? 'consistent' : `index=${index}&wait=${waitMs}ms`);
      const request = { method: 'GET', path, accept: [200, 404], answerTimeoutMs: waitMs * 1.0625 + 5000 } as const;
      const reply = await http.once({ ...request, ...settings }, async (head, chunks) => {
        for await (const chunk of chunks) if (chunk.length === 0) break;
        return head;
      });
      // Only what a leader that has caught up says is final.
      if (reply.status === 404 && index === 0) return;
      const found = indexOf(reply, settings.what);
      index = reply.status === 404 || found < index ? 0 : Math.max(1, found);
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      index = 0;
      await clock.sleep(afterFailureMs, settings.signal);
    }
  }
}
