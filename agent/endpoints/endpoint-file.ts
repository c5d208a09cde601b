import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeEndpoint } from './node-endpoint.ts';

interface Content {
  readonly version: 1;
  /** Indexes of devices mean nothing after a reboot. */
  readonly bootId: string;
  readonly endpoints: readonly NodeEndpoint[];
}

/** The file does not hold what we once wrote: somebody must look before it is overwritten. */
export class EndpointFileError extends Error {
  readonly code = 'AGENT_ENDPOINT_FILE';

  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`Cannot read the endpoints of an earlier life from ${path}: ${reason}`, options);
    this.name = 'EndpointFileError';
  }
}

/** The endpoints of this node on disk, so that a restarted agent knows what runs on it. Replaced as a whole, or not. */
export class EndpointFile {
  readonly #path: string;
  readonly #bootId: string;

  constructor(stateDirectory: string, bootId: string) {
    this.#path = join(stateDirectory, 'endpoints.json');
    this.#bootId = bootId;
  }

  /** Those of an earlier life under the same boot; undefined when there was none. @throws {EndpointFileError} */
  async read(): Promise<readonly NodeEndpoint[] | undefined> {
    const text = await readFile(this.#path, 'utf8').catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw new EndpointFileError(this.#path, 'the file cannot be opened', { cause: error });
    });
    if (text === undefined) return undefined;
    const content = parse(this.#path, text);
    return content.bootId === this.#bootId ? content.endpoints : undefined;
  }

  /** On disk before it settles. */
  async write(endpoints: readonly NodeEndpoint[]): Promise<void> {
    const content: Content = { version: 1, bootId: this.#bootId, endpoints };
    const temporary = `${this.#path}.new`;
    {
      await using file = await open(temporary, 'w', 0o600);
      await file.writeFile(`${JSON.stringify(content)}\n`);
      await file.sync();
    }
    await rename(temporary, this.#path);
  }
}

function parse(path: string, text: string): Content {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new EndpointFileError(path, 'it is no JSON', { cause: error });
  }
  if (!isContent(value)) throw new EndpointFileError(path, 'it has another form than this version writes');
  return value;
}

function isContent(value: unknown): value is Content {
  return (
    typeof value === 'object' &&
    value !== null &&
    'version' in value &&
    value.version === 1 &&
    'bootId' in value &&
    'endpoints' in value &&
    Array.isArray(value.endpoints)
  );
}

function isMissing(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
}
