import { UnavailableError } from '../contract/index.ts';
import type { ConsulHttp } from './http/index.ts';

/** A call waits for it, which may have to wait as long as any other. */
const patienceMs = 2_000;

/**
 * Consul has no cluster id in its API but that of its certificate authority: made with the store, kept by snapshots,
 * readable by anyone. Undefined where Connect is switched off.
 */
export async function identify(http: ConsulHttp, signal?: AbortSignal): Promise<string | undefined> {
  try {
    const what = 'ask which store this is';
    const request = { method: 'GET', path: 'connect/ca/roots', what, signal, patienceMs } as const;
    const domain = await http.once(request, async (_reply, chunks) => {
      const parts: Buffer[] = [];
      for await (const chunk of chunks) parts.push(chunk);
      return /"TrustDomain"\s*:\s*"([0-9a-f-]{36})\./.exec(Buffer.concat(parts).toString('latin1'))?.[1];
    });
    http.storeId = domain?.replaceAll('-', '');
    return http.storeId;
  } catch (error) {
    if (error instanceof UnavailableError && !/connect must be enabled/i.test(error.message)) throw error;
    signal?.throwIfAborted();
    http.closing.throwIfAborted();
    return undefined;
  }
}
