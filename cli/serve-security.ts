import type { Clock } from '../runtime/clock/index.ts';
import type { Logger } from '../runtime/log/index.ts';
import { assignedPodCidrs, meshUsers } from '../clustermesh/index.ts';
import { type Engine, type ServeTlsOptions, Users } from '../kvstore/index.ts';
import { type HostPort, UsageError, defineOptions, formatHostPort } from '../runtime/options/index.ts';
import { isLoopback } from './daemon.ts';

/** How a store of ours is served, and to whom. Named as etcd names them, where it has them. */
export const serveSecurityOptions = defineOptions({
  'cert-file': {
    type: 'string',
    placeholder: 'FILE',
    help: 'Serve TLS with this certificate (PEM); replaced files are noticed',
  },
  'key-file': { type: 'string', placeholder: 'FILE', help: 'Private key of --cert-file (PEM)' },
  'trusted-ca-file': {
    type: 'string',
    placeholder: 'FILE',
    help: 'Our own authority (PEM): clients need a certificate, and its common name says which user they are',
  },
  'client-crl-file': { type: 'string', placeholder: 'FILE', help: 'Certificates that --trusted-ca-file took back' },
  'client-cert-auth': { type: 'boolean', help: 'Clients need a certificate; --trusted-ca-file says as much' },
  'users-file': {
    type: 'string',
    placeholder: 'FILE',
    help: 'More users, roles and authorities (YAML, see docs/etcd-api.md)',
  },
  insecure: {
    type: 'boolean',
    help: 'Allow an address beyond loopback although whoever reaches it may do everything',
  },
});

export interface ServeSecurityValues {
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly trustedCaFile: string | undefined;
  readonly clientCrlFile: string | undefined;
  readonly clientCertAuth: boolean;
  readonly usersFile: string | undefined;
  readonly insecure: boolean;
}

/** What the options mean together: cleartext, TLS, or TLS with users. */
export type ServeSecurity =
  | { readonly kind: 'cleartext' }
  | { readonly kind: 'tls'; readonly tls: ServeTlsOptions }
  | {
      readonly kind: 'users';
      readonly tls: ServeTlsOptions;
      readonly files: { readonly trustedCaFile?: string; readonly crlFile?: string; readonly usersFile?: string };
    };

/**
 * @param option that named the address
 * @throws {UsageError} for options that contradict one another, or leave a store open to everybody unasked
 */
export function serveSecurity(listen: HostPort, values: ServeSecurityValues, option = '--listen'): ServeSecurity {
  const { certFile, keyFile, trustedCaFile, clientCrlFile, usersFile } = values;
  const usage = (option: string, problem: string, hint: string): UsageError =>
    new UsageError(problem, { option, hint });
  const wantsUsers = values.clientCertAuth || trustedCaFile !== undefined || usersFile !== undefined;
  if (certFile !== undefined && keyFile === undefined)
    throw usage('--key-file', '--key-file is missing beside --cert-file', 'name the file of its private key');
  if (certFile === undefined || keyFile === undefined) {
    const alone = ['key-file', 'trusted-ca-file', 'client-crl-file', 'client-cert-auth', 'users-file'].find(
      (_, i) => [keyFile, trustedCaFile, clientCrlFile, values.clientCertAuth || undefined, usersFile][i] !== undefined,
    );
    if (alone !== undefined)
      throw usage('--cert-file', `--${alone} needs TLS: --cert-file is missing`, 'give --cert-file and --key-file');
    requireLoopback({ listen, option }, values.insecure, 'the store is served without TLS');
    return { kind: 'cleartext' };
  }
  if (clientCrlFile !== undefined && trustedCaFile === undefined)
    throw usage('--client-crl-file', '--client-crl-file needs --trusted-ca-file', 'name the authority of clients');
  if (!wantsUsers) {
    requireLoopback({ listen, option }, values.insecure, 'clients need no certificate');
    return { kind: 'tls', tls: { certFile, keyFile } };
  }
  if (trustedCaFile === undefined && usersFile === undefined)
    throw usage('--trusted-ca-file', '--client-cert-auth needs --trusted-ca-file', 'name the authority of clients');
  return {
    kind: 'users',
    tls: { certFile, keyFile, clientCertAuth: true },
    files: {
      ...(trustedCaFile === undefined ? {} : { trustedCaFile }),
      ...(clientCrlFile === undefined ? {} : { crlFile: clientCrlFile }),
      ...(usersFile === undefined ? {} : { usersFile }),
    },
  };
}

/**
 * The users of a store: `root`, those of the files, and those of the mesh where the store is a cluster's.
 * @throws {AuthFileError}
 */
export async function openServedUsers(
  security: ServeSecurity,
  engine: Engine,
  clusterName: string | undefined,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<Users | undefined> {
  if (security.kind !== 'users') return undefined;
  const mesh =
    clusterName === undefined ? {} : { builtIn: meshUsers({ clusterName, podCidrsOf: assignedPodCidrs(engine) }) };
  return await Users.open({ ...security.files, ...mesh }, { clock, log });
}

/** A store that everybody may do everything with stays at home unless the caller insists. @throws {UsageError} */
function requireLoopback(
  { listen, option }: { readonly listen: HostPort; readonly option: string },
  insecure: boolean,
  why: string,
): void {
  if (insecure || isLoopback(listen.host)) return;
  throw new UsageError(`${option} ${formatHostPort(listen)} is reachable by others, and ${why}`, {
    option,
    hint: 'listen on 127.0.0.1, give --cert-file, --key-file and --trusted-ca-file, or --insecure if everybody who reaches this address may read and write everything',
  });
}
