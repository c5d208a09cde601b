/** A member of a Kubernetes object that is not what the API promises. */
export class FieldError extends Error {
  readonly code = 'KUBERNETES_FIELD';
  /** Dotted path from the object's root, as `kubectl explain` would write it; empty for the object itself. */
  readonly field: string;
  readonly expected: string;

  constructor(field: string, expected: string, found: unknown) {
    super(`${field === '' ? 'The object' : field} must be ${expected}, found ${shown(found)}`);
    this.name = 'FieldError';
    this.field = field;
    this.expected = expected;
  }
}

function shown(found: unknown): string {
  if (found === undefined || found === null) return 'nothing';
  const text = JSON.stringify(found);
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}

/** Reads a plain value as YAML or JSON gave it; a missing and a `null` member are the same, as in Kubernetes. */
export class FieldReader {
  readonly path: string;
  readonly #members: Readonly<Record<string, unknown>>;

  constructor(value: unknown, path = '') {
    this.path = path;
    if (value === undefined || value === null) this.#members = {};
    else if (typeof value === 'object' && !Array.isArray(value)) this.#members = value as Record<string, unknown>;
    else throw new FieldError(path, 'an object', value);
  }

  /** Everything, unread. */
  get members(): Readonly<Record<string, unknown>> {
    return this.#members;
  }

  get(name: string): unknown {
    return Object.hasOwn(this.#members, name) ? (this.#members[name] ?? undefined) : undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  error(name: string, expected: string, found: unknown = this.get(name)): FieldError {
    return new FieldError(name === '' ? this.path : this.at(name), expected, found);
  }

  /** `undefined` when missing or empty. */
  optional(name: string): string | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw this.error(name, 'a string');
    return value === '' ? undefined : value;
  }

  /** `{ [name]: text }`, or nothing when missing: to be spread into an object with an optional member. */
  spread<N extends string>(name: N): { readonly [K in N]?: string } {
    const text = this.optional(name);
    return (text === undefined ? {} : { [name]: text }) as { readonly [K in N]?: string };
  }

  text(name: string, fallback?: string): string {
    const value = this.optional(name) ?? fallback;
    if (value === undefined) throw this.error(name, 'a string that is not empty');
    return value;
  }

  oneOf<const T extends string>(name: string, words: readonly T[], fallback?: T): T {
    const value = this.optional(name) ?? fallback;
    if (!words.includes(value as T)) throw this.error(name, `one of ${words.join(', ')}`);
    return value as T;
  }

  boolean(name: string, fallback = false): boolean {
    const value = this.get(name) ?? fallback;
    if (typeof value !== 'boolean') throw this.error(name, 'true or false');
    return value;
  }

  integer(name: string, min: number, max: number, fallback?: number): number {
    const value = this.get(name) ?? fallback;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      throw this.error(name, `a whole number from ${min} to ${max}`);
    return value;
  }

  port(name: string): number {
    return this.integer(name, 1, 65_535);
  }

  object(name: string): FieldReader {
    return new FieldReader(this.get(name), this.at(name));
  }

  list<T>(name: string, read: (item: FieldReader, index: number) => T): T[] {
    return this.#items(name).map((item, i) => read(new FieldReader(item, `${this.at(name)}[${i}]`), i));
  }

  texts(name: string): string[] {
    return this.#items(name).map((item, i) => {
      if (typeof item !== 'string') throw this.error(`${name}[${i}]`, 'a string', item);
      return item;
    });
  }

  /** Each item checked and brought into canonical form by `parse`, which throws for what is none. */
  parsed(name: string, expected: string, parse: (text: string) => string): string[] {
    return this.texts(name).map((text, i) => {
      try {
        return parse(text);
      } catch {
        throw this.error(`${name}[${i}]`, expected, text);
      }
    });
  }

  textMap(name: string): Record<string, string> {
    const value = this.get(name) ?? {};
    if (typeof value !== 'object' || Array.isArray(value)) throw this.error(name, 'an object of strings');
    for (const [key, text] of Object.entries(value))
      if (typeof text !== 'string') throw this.error(`${name}.${key}`, 'a string (quote it)', text);
    return Object.fromEntries(Object.entries(value) as [string, string][]);
  }

  #items(name: string): readonly unknown[] {
    const value = this.get(name) ?? [];
    if (!Array.isArray(value)) throw this.error(name, 'a list');
    return value;
  }
}
