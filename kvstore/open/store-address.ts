import { holdsCredentials, parseEndpoint } from '../etcd/session/index.ts';

/** Which kind of store holds the records: the choice of `--store`. */
export const storeKinds = ['embedded', 'etcd', 'consul'] as const;
export type StoreKind = (typeof storeKinds)[number];

/** Where a store is. What has to stay secret is in the configuration file, never here. */
export type StoreAddress =
  | { readonly kind: 'embedded'; readonly directory: string }
  | { readonly kind: 'etcd' | 'consul'; readonly configFile: string }
  | { readonly kind: 'etcd'; readonly endpoint: string };

/** Something is wrong with how a store was named. The message never repeats a secret. */
export class StoreAddressError extends Error {
  override readonly name = 'StoreAddressError';
  readonly code = 'STORE_ADDRESS';
  /** What cures it, in one line. */
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

const forms = 'expected http://HOST:PORT, https://HOST:PORT, etcd:FILE, consul:FILE or embedded:DIR';

/**
 * Reads one word that names a store: `http://HOST:PORT` and `https://HOST:PORT` (the etcd v3 API, as etcd and
 * `isthmus store serve` speak it), `etcd:FILE` and `consul:FILE` (configuration files), `embedded:DIR` (a data directory).
 * @throws {StoreAddressError}
 */
export function parseStoreAddress(text: string): StoreAddress {
  const [, scheme = '', rest = ''] = /^([a-z]+):([\s\S]*)$/i.exec(text) ?? [];
  switch (scheme.toLowerCase()) {
    case 'http':
    case 'https':
      return { kind: 'etcd', endpoint: endpointOf(text) };
    case 'etcd':
    case 'consul':
      return { kind: scheme.toLowerCase() === 'etcd' ? 'etcd' : 'consul', configFile: pathOf(rest, scheme, 'FILE') };
    case 'embedded':
      return { kind: 'embedded', directory: pathOf(rest, scheme, 'DIR') };
    default:
      if (holdsCredentials(text)) throw credentials();
      // What comes behind a question mark may be a token.
      throw new StoreAddressError(`${JSON.stringify(text.replace(/\?.*$/s, '?…'))} names no store`, forms);
  }
}

/** What the options of a process name: the kind with its configuration file, or its data directory. @throws {StoreAddressError} */
export function storeAddressOf(options: {
  readonly kind: StoreKind;
  readonly configFile: string | undefined;
  readonly dataDirectory: string | undefined;
}): StoreAddress {
  const { kind, configFile, dataDirectory } = options;
  if (kind === 'embedded') {
    if (dataDirectory !== undefined) return { kind, directory: pathOf(dataDirectory, 'embedded', 'DIR') };
    throw new StoreAddressError('--data-dir is required for the embedded store', 'give --data-dir DIR');
  }
  if (configFile !== undefined) {
    refuseUrl(configFile, 'FILE');
    return { kind, configFile };
  }
  throw new StoreAddressError(
    `--store-config is required for ${kind}`,
    `give --store-config FILE, how ${kind} is reached`,
  );
}

/** The word that {@link parseStoreAddress} reads. */
export function formatStoreAddress(address: StoreAddress): string {
  if (address.kind === 'embedded') return `embedded:${address.directory}`;
  return 'endpoint' in address ? address.endpoint : `${address.kind}:${address.configFile}`;
}

function endpointOf(text: string): string {
  if (holdsCredentials(text)) throw credentials();
  try {
    return parseEndpoint(text, false).url;
  } catch (error) {
    throw new StoreAddressError(error instanceof Error ? error.message : String(error), forms);
  }
}

function pathOf(rest: string, scheme: string, what: 'FILE' | 'DIR'): string {
  // A URL in the place of a path may hold a secret, and would be repeated as the name of something that is missing.
  refuseUrl(rest, what);
  if (rest !== '') return rest;
  throw new StoreAddressError(`${JSON.stringify(`${scheme}:`)} names no store`, `expected ${scheme}:${what}`);
}

function refuseUrl(path: string, what: 'FILE' | 'DIR'): void {
  const [start, scheme] = /^([a-z][a-z\d+.-]*:)?\/\//i.exec(path) ?? [];
  if (start === undefined) return;
  if (holdsCredentials(path)) throw credentials();
  if (what === 'FILE')
    throw new StoreAddressError(
      'A URL stands where a configuration file is expected',
      'write it into a file and name that',
    );
  // A directory may begin with two slashes, as scripts put paths together.
  if (scheme !== undefined)
    throw new StoreAddressError('A URL stands where a data directory is expected', 'name the directory by its path');
}

function credentials(): StoreAddressError {
  return new StoreAddressError(
    'The store is named with credentials, which others could read among the processes',
    'write them into a configuration file and name that: etcd:FILE or consul:FILE',
  );
}
