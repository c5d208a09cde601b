import { type Logger, fields } from '../../runtime/log/index.ts';
import type { TlsFiles } from '../../runtime/tls/index.ts';

/** What `insecure-skip-tls-verify: true` of a client configuration means. */
export const unverifiedMeans = 'whoever answers is believed to be the store, whatever certificate it shows';

/** Says that a configuration has servers' certificates not verified: nothing else shows it, since all works. */
export function warnIfUnverified(file: string, tls: TlsFiles | undefined, log: Logger): void {
  if (tls?.insecureSkipVerify !== true) return;
  log.warn(`The certificate of the store is not verified: ${unverifiedMeans}`, {
    file,
    field: 'insecure-skip-tls-verify',
    [fields.hint]:
      'Name its authority as trusted-ca-file, and the name in its certificate as server-name where it is another, instead',
  });
}
