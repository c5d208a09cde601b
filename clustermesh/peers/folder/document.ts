import { X509Certificate } from 'node:crypto';
import { certificatesOf } from '../../../runtime/tls/index.ts';
import { formatPrefix, parsePrefix } from '../../../values/ip/index.ts';
import { isClusterName } from '../../wire/index.ts';

/** A document about peers that cannot be meant: names document and field, and never repeats what stands there. */
export class PeerDocumentError extends Error {
  override readonly name = 'PeerDocumentError';
  readonly code = 'PEER_DOCUMENT';
  readonly field: string;

  constructor(document: string, field: string, expected: string, options?: ErrorOptions) {
    super(`${document}: ${field === '' ? '' : `${field}: `}expected ${expected}`, options);
    this.field = field;
  }
}

/** The members of a document, read one by one. A member that nobody has asked for is an error. */
export class DocumentReader {
  readonly #document: string;
  readonly #place: string;
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #asked = new Set<string>();

  constructor(document: string, value: unknown, place = '') {
    this.#document = document;
    this.#place = place;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new PeerDocumentError(document, place, 'a mapping');
    this.#fields = value as Readonly<Record<string, unknown>>;
  }

  /** @throws {PeerDocumentError} what is no JSON, or no mapping */
  static ofJson(document: string, text: string): DocumentReader {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      // The parser's words quote the text, which may hold a token.
      throw new PeerDocumentError(document, '', 'JSON');
    }
    return new DocumentReader(document, value);
  }

  error(field: string, expected: string, options?: ErrorOptions): PeerDocumentError {
    return new PeerDocumentError(
      this.#document,
      this.#place === '' ? field : `${this.#place}.${field}`,
      expected,
      options,
    );
  }

  has(field: string): boolean {
    return this.#get(field) !== undefined;
  }

  /** Written down, and nothing behind it: what a list is whose members were commented out. */
  isNull(field: string): boolean {
    return Object.hasOwn(this.#fields, field) && this.#fields[field] === null;
  }

  isFalse(field: string): boolean {
    return this.#get(field) === false;
  }

  text(field: string): string {
    const value = this.#get(field);
    if (typeof value !== 'string' || value === '') throw this.error(field, 'a text');
    return value;
  }

  optionalText(field: string): string | undefined {
    return this.has(field) ? this.text(field) : undefined;
  }

  exactly<const T extends string>(field: string, ...known: readonly T[]): T {
    const value = this.text(field);
    const found = known.find((one) => one === value);
    if (found === undefined) throw this.error(field, known.join(' or '));
    return found;
  }

  whole(field: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.#get(field);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max)
      throw this.error(
        field,
        max === Number.MAX_SAFE_INTEGER ? 'a whole number' : `a whole number from ${min} to ${max}`,
      );
    return value;
  }

  clusterName(field: string): string {
    const value = this.text(field);
    if (!isClusterName(value)) throw this.error(field, 'the name of a cluster');
    return value;
  }

  time(field: string): number {
    const ms = Date.parse(this.text(field));
    if (Number.isNaN(ms)) throw this.error(field, 'a time, as 2027-01-31T12:00:00Z');
    return ms;
  }

  texts(field: string, max = 64): readonly string[] {
    const value = this.#get(field) ?? [];
    if (!Array.isArray(value) || value.length > max || !value.every((item) => typeof item === 'string' && item !== ''))
      throw this.error(field, `a list of at most ${max} texts`);
    return value as string[];
  }

  /** URLs of stores, `https://` only; at least one unless told. */
  endpoints(field: string, { min = 1 } = {}): readonly string[] {
    const list = this.texts(field, 32);
    if (list.length < min) throw this.error(field, 'at least one endpoint');
    list.forEach((text, i) => {
      if (!isHttpsUrl(text)) throw this.error(`${field}[${i}]`, 'an endpoint, as https://HOST:PORT');
    });
    return list;
  }

  optionalEndpoint(field: string): string | undefined {
    const text = this.optionalText(field);
    if (text !== undefined && !isHttpsUrl(text)) throw this.error(field, 'an endpoint, as https://HOST:PORT');
    return text;
  }

  /** One or more certificates of authorities, PEM. */
  authorities(field: string): string {
    const text = this.text(field);
    const found = this.certificates(field);
    if (found.length === 0 || found.length > 8 || !found.every(({ ca }) => ca))
      throw this.error(field, 'one to eight certificates of authorities (PEM)');
    // It would be kept where whoever follows that cluster reads it.
    if (text.includes('PRIVATE KEY')) throw this.error(field, 'certificates alone: a private key stands beside them');
    // What else stands there, words of whoever presents them, is kept nowhere.
    return found.map((one) => one.toString()).join('');
  }

  certificates(field: string): readonly X509Certificate[] {
    try {
      return certificatesOf(Buffer.from(this.text(field)));
    } catch (error) {
      if (error instanceof PeerDocumentError) throw error;
      throw this.error(field, 'certificates (PEM)', { cause: error });
    }
  }

  /** Blocks of addresses, canonical. */
  blocks(field: string): readonly string[] {
    return this.texts(field, 1024).map((text, i) => {
      try {
        return formatPrefix(parsePrefix(text));
      } catch (error) {
        throw this.error(`${field}[${i}]`, 'a block of addresses without host bits, as 10.2.0.0/16', { cause: error });
      }
    });
  }

  object(field: string): DocumentReader {
    return new DocumentReader(this.#document, this.#get(field), this.#place === '' ? field : `${this.#place}.${field}`);
  }

  optionalObject(field: string): DocumentReader | undefined {
    return this.has(field) ? this.object(field) : undefined;
  }

  objects(field: string): readonly DocumentReader[] {
    const value = this.#get(field) ?? [];
    if (!Array.isArray(value)) throw this.error(field, 'a list');
    return value.map(
      (item: unknown, i) =>
        new DocumentReader(this.#document, item, `${this.#place === '' ? field : `${this.#place}.${field}`}[${i}]`),
    );
  }

  /** A mapping of mappings, by name; undefined where it is none. */
  members(field: string): readonly (readonly [string, DocumentReader])[] | undefined {
    const value = this.#get(field);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const place = this.#place === '' ? field : `${this.#place}.${field}`;
    return Object.entries(value).map(([name, one]) => [
      name,
      new DocumentReader(this.#document, one, `${place}.${name.slice(0, 64)}`),
    ]);
  }

  /** @throws {PeerDocumentError} for members that mean nothing */
  done(): void {
    const unknown = Object.keys(this.#fields).find((field) => !this.#asked.has(field));
    if (unknown !== undefined)
      throw new PeerDocumentError(
        this.#document,
        this.#place === '' ? unknown.slice(0, 64) : `${this.#place}.${unknown.slice(0, 64)}`,
        `no such member, but ${[...this.#asked].toSorted().join(', ')}`,
      );
  }

  #get(field: string): unknown {
    this.#asked.add(field);
    const value = Object.hasOwn(this.#fields, field) ? this.#fields[field] : undefined;
    return value === null ? undefined : value;
  }
}

function isHttpsUrl(text: string): boolean {
  const url = URL.parse(text);
  return (
    url?.protocol === 'https:' &&
    url.username === '' &&
    url.password === '' &&
    ['', '/'].includes(url.pathname) &&
    url.search === '' &&
    url.hash === ''
  );
}
