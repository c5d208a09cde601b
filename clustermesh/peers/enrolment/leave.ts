import type { X509Certificate } from 'node:crypto';
import { fields } from '../../../runtime/log/index.ts';
import { type ExchangeDependencies, peerOf } from './exchange.ts';

/** Answers `POST /v1/leave`: the peer ends it, so nothing is kept of it here either. */
export async function answerLeave(
  { folder, log }: ExchangeDependencies,
  certificate: X509Certificate | undefined,
): Promise<Readonly<Record<string, never>>> {
  return await folder.change(async () => {
    const { name } = await peerOf(folder, certificate);
    await folder.removePeer(name);
    log.info('A peer has left', { [fields.cluster]: name });
    return {};
  });
}
