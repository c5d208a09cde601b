import { parseQuietYaml } from '../../runtime/files/index.ts';
import type { TlsFiles } from '../../runtime/tls/index.ts';
import { type EtcdTarget, parseEndpoint } from './session/index.ts';

/** An etcd client configuration as Cilium and etcd's own tools read it. */
export interface EtcdConfig extends EtcdTarget {
  /** Fields that are there but mean nothing to us. */
  readonly ignored: readonly string[];
}

/** A configuration file that cannot be meant: names file and field. */
export class EtcdConfigError extends Error {
  override readonly name = 'EtcdConfigError';
  readonly code = 'ETCD_CONFIG';
  readonly fileName: string;
  readonly field: string | undefined;

  constructor(fileName: string, field: string | undefined, problem: string, options?: ErrorOptions) {
    super(`${fileName}: ${field === undefined ? '' : `${field}: `}${problem}`, options);
    this.fileName = fileName;
    this.field = field;
  }
}

const known = new Set([
  'endpoints',
  'trusted-ca-file',
  'cert-file',
  'key-file',
  'insecure-transport',
  'insecure-skip-tls-verify',
  'server-name',
  'username',
  'password',
]);

/**
 * Reads the YAML (or JSON) of an etcd client, `endpoints`, `trusted-ca-file`, `cert-file`, `key-file`,
 * `insecure-transport`, `insecure-skip-tls-verify`, `username`, `password` (`etcd-io/etcd:client/v3/yaml/config.go`), and of our own
 * `server-name`: the name that servers' certificates have where it is not the host that is dialled. Others ignore it.
 * @throws {EtcdConfigError}
 */
export function parseEtcdConfig(yamlText: string, fileName: string): EtcdConfig {
  const fields = new Fields(fileName, parseDocument(yamlText, fileName));
  const insecure = fields.flag('insecure-transport');
  const tls = tlsOf(fields);
  const endpoints = endpointsOf(fields, insecure, Object.keys(tls).length > 0);
  const username = fields.text('username');
  const password = fields.text('password');
  if (password !== undefined && username === undefined) throw fields.error('username', 'missing beside a password');
  return {
    endpoints,
    ...(insecure || Object.keys(tls).length === 0 ? {} : { tls }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ignored: fields.names.filter((name) => !known.has(name)),
  };
}

function parseDocument(text: string, fileName: string): Readonly<Record<string, unknown>> {
  let document: unknown;
  try {
    document = parseQuietYaml(text);
  } catch (error) {
    throw new EtcdConfigError(fileName, undefined, error instanceof Error ? error.message : String(error));
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw new EtcdConfigError(fileName, undefined, 'expected a mapping with the field endpoints');
  return document as Readonly<Record<string, unknown>>;
}

class Fields {
  readonly #fileName: string;
  readonly #document: Readonly<Record<string, unknown>>;

  constructor(fileName: string, document: Readonly<Record<string, unknown>>) {
    this.#fileName = fileName;
    this.#document = document;
  }

  get names(): readonly string[] {
    return Object.keys(this.#document);
  }

  error(field: string, problem: string): EtcdConfigError {
    return new EtcdConfigError(this.#fileName, field, problem);
  }

  text(field: string): string | undefined {
    const value = this.#document[field];
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value !== 'string') throw this.error(field, 'expected a text');
    return value;
  }

  flag(field: string): boolean {
    const value = this.#document[field] ?? false;
    if (typeof value !== 'boolean') throw this.error(field, 'expected true or false');
    return value;
  }

  texts(field: string): readonly string[] {
    const value = this.#document[field];
    if (!Array.isArray(value) || value.length === 0) throw this.error(field, 'expected a list with at least one entry');
    if (!value.every((entry) => typeof entry === 'string')) throw this.error(field, 'expected texts');
    return value;
  }
}

function tlsOf(fields: Fields): TlsFiles {
  const trustedCaFile = fields.text('trusted-ca-file');
  const certFile = fields.text('cert-file');
  const keyFile = fields.text('key-file');
  const serverName = fields.text('server-name');
  if (certFile !== undefined && keyFile === undefined) throw fields.error('key-file', 'missing beside cert-file');
  if (keyFile !== undefined && certFile === undefined) throw fields.error('cert-file', 'missing beside key-file');
  return {
    ...(trustedCaFile === undefined ? {} : { trustedCaFile }),
    ...(certFile === undefined ? {} : { certFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
    ...(fields.flag('insecure-skip-tls-verify') ? { insecureSkipVerify: true } : {}),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

function endpointsOf(fields: Fields, insecure: boolean, hasTls: boolean): readonly string[] {
  return fields.texts('endpoints').map((text) => {
    try {
      const endpoint = parseEndpoint(text, hasTls && !insecure);
      if (insecure && endpoint.secure) throw new RangeError(`${endpoint.url} contradicts insecure-transport`);
      return endpoint.url;
    } catch (error) {
      throw fields.error('endpoints', error instanceof Error ? error.message : String(error));
    }
  });
}
