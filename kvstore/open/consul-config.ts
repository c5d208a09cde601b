import { parseQuietYaml } from '../../runtime/files/index.ts';
import type { ConsulStoreOptions } from '../consul/index.ts';

/** What a Consul configuration file says. */
export type ConsulConfig = Pick<
  ConsulStoreOptions,
  'addresses' | 'tls' | 'tokenFile' | 'tokenEnvironment' | 'sessionNode' | 'waitSeconds' | 'callTimeoutMs'
> & {
  /** Fields that are there but mean nothing to us. */
  readonly ignored: readonly string[];
};

/** A configuration file that cannot be meant: names file and field, never a secret. */
export class ConsulConfigError extends Error {
  override readonly name = 'ConsulConfigError';
  readonly code = 'CONSUL_CONFIG';
  readonly fileName: string;
  readonly field: string | undefined;

  constructor(fileName: string, field: string | undefined, problem: string) {
    super(`${fileName}: ${field === undefined ? '' : `${field}: `}${problem}`);
    this.fileName = fileName;
    this.field = field;
  }
}

/**
 * Consul answers after ten minutes, however long it is asked to wait (its manual, "Blocking queries"): who waits for more
 * takes that much longer to notice that it hangs.
 */
const longestWaitSeconds = 600;

type Document = Readonly<Record<string, unknown>>;
type Fail = (field: string | undefined, problem: string) => ConsulConfigError;

const texts = {
  'trusted-ca-file': 'trustedCaFile',
  'cert-file': 'certFile',
  'key-file': 'keyFile',
  'token-file': 'tokenFile',
  'token-environment': 'tokenEnvironment',
  'session-node': 'sessionNode',
} as const;
const known = new Set([
  ...Object.keys(texts),
  'addresses',
  'insecure-skip-tls-verify',
  'wait-seconds',
  'call-timeout-ms',
]);

/**
 * Reads the YAML (or JSON) that says how Consul is reached: `addresses`, `trusted-ca-file`, `cert-file`, `key-file`,
 * `insecure-skip-tls-verify`, `token-file` or `token-environment`, `session-node`, `wait-seconds`, `call-timeout-ms`.
 * @throws {ConsulConfigError}
 */
export function parseConsulConfig(yamlText: string, fileName: string): ConsulConfig {
  const fail: Fail = (field, problem) => new ConsulConfigError(fileName, field, problem);
  const document = documentOf(yamlText, fail);
  if ('token' in document) throw fail('token', 'a token does not belong here; name its file by token-file');
  const found: Partial<Record<(typeof texts)[keyof typeof texts], string>> = {};
  for (const [field, name] of Object.entries(texts)) {
    const value = document[field];
    if (value === undefined || value === null || value === '') continue;
    if (typeof value !== 'string') throw fail(field, 'expected a text');
    found[name] = value;
  }
  const { tokenFile, tokenEnvironment, sessionNode, ...files } = found;
  if (files.certFile !== undefined && files.keyFile === undefined) throw fail('key-file', 'missing beside cert-file');
  if (files.keyFile !== undefined && files.certFile === undefined) throw fail('cert-file', 'missing beside key-file');
  if (tokenFile !== undefined && tokenEnvironment !== undefined)
    throw fail('token-environment', 'only one of token-file and token-environment can be meant');
  const unverified = document['insecure-skip-tls-verify'] ?? false;
  if (typeof unverified !== 'boolean') throw fail('insecure-skip-tls-verify', 'expected true or false');
  const tls = { ...files, ...(unverified ? { insecureSkipVerify: true } : {}) };
  const waitSeconds = numberOf(document, 'wait-seconds', longestWaitSeconds, fail);
  const callTimeoutMs = numberOf(document, 'call-timeout-ms', longestWaitSeconds * 1000, fail);
  return {
    addresses: addressesOf(document['addresses'], fail),
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(tokenEnvironment === undefined ? {} : { tokenEnvironment }),
    ...(sessionNode === undefined ? {} : { sessionNode }),
    ...(waitSeconds === undefined ? {} : { waitSeconds }),
    ...(callTimeoutMs === undefined ? {} : { callTimeoutMs }),
    ignored: Object.keys(document).filter((name) => !known.has(name)),
  };
}

function documentOf(text: string, fail: Fail): Document {
  let document: unknown;
  try {
    document = parseQuietYaml(text);
  } catch (error) {
    throw fail(undefined, error instanceof Error ? error.message : String(error));
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw fail(undefined, 'expected a mapping with the field addresses');
  return document as Document;
}

function addressesOf(value: unknown, fail: Fail): readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || !value.every((entry) => typeof entry === 'string'))
    throw fail('addresses', 'expected a list of texts with at least one entry');
  for (const address of value) {
    if (address.includes('@'))
      throw fail('addresses', 'an address contains credentials: name the token’s file by token-file');
    if (/^unix:\/\/\/[^?#]+$/.test(address)) continue;
    const url = URL.canParse(address) ? new URL(address) : undefined;
    // What comes behind the host may be a token.
    const shown = address.replace(/^([a-z]+:\/\/[^/?#]*)?([/?#]).+/is, '$1$2…');
    if (!url || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '' || url.pathname !== '/')
      throw fail(
        'addresses',
        `expected http://HOST:PORT, https://HOST:PORT or unix:///PATH, not ${JSON.stringify(shown)}`,
      );
  }
  return value;
}

function numberOf(document: Document, field: string, most: number, fail: Fail): number | undefined {
  const value = document[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !(value > 0) || value > most)
    throw fail(field, `expected a number above 0, at most ${most}`);
  return value;
}
