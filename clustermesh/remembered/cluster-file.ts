import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { clusterConfigKey, decodeClusterConfig, encodeClusterConfig } from '../wire/index.ts';
import type { ClusterContent, RememberedCluster, RememberedRecord } from './remembered-cluster.ts';

const format = 'isthmus-remembered-cluster';
const version = 1;
/** Written at a time; between two the rest of the process goes on. */
const chunkBytes = 256 * 1024;

/** The file is not one that this version wrote for this cluster, or it is damaged. */
export class ClusterFileError extends Error {
  readonly code = 'CLUSTERMESH_REMEMBERED_FILE';

  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.name = 'ClusterFileError';
  }
}

export interface Written {
  readonly bytes: number;
  readonly records: number;
  /** Kinds that did not fit. */
  readonly leftOut: readonly string[];
}

/**
 * Writes one cluster as JSON lines: a head that says what this is, a line a record, and a tail with their number and
 * their SHA-256. A kind that would exceed `maxBytes` is left out, and those after it, and the tail names them.
 */
export async function writeCluster(
  file: FileHandle,
  cluster: string,
  content: ClusterContent,
  maxBytes: number,
): Promise<Written> {
  const lines = new LineWriter(file);
  await lines.add({ format, version, cluster, config: encodeClusterConfig(content.config) });
  let records = 0;
  let full = false;
  const leftOut: string[] = [];
  for (const { kind, records: ofKind } of content.kinds) {
    const before = await lines.mark();
    let count = 0;
    for (const { key, value } of full ? [] : ofKind) {
      await lines.add([kind, key, value]);
      count++;
      full = lines.bytes > maxBytes;
      if (full) break;
    }
    if (full) {
      await lines.back(before);
      leftOut.push(kind);
    } else records += count;
  }
  const { hash } = await lines.mark();
  await lines.add({ records, leftOut, sha256: hash.digest('hex') });
  await lines.mark();
  return { bytes: lines.bytes, records, leftOut };
}

/** @throws {ClusterFileError} */
export async function readCluster(path: string, cluster: string, maxBytes: number): Promise<RememberedCluster> {
  await using file = await open(path, 'r');
  const { size, mtimeMs } = await file.stat();
  if (size > maxBytes)
    throw new ClusterFileError(`it has ${size} bytes, more than the ${maxBytes} that are ever written`);
  const bytes = await file.readFile();
  const tailAt = bytes.lastIndexOf(0x0a, -2) + 1;
  const body = bytes.subarray(0, tailAt);
  const tail = parse(bytes.subarray(tailAt).toString('utf8'));
  if (!has(tail, 'sha256') || !has(tail, 'leftOut') || !isTexts(tail.leftOut))
    throw new ClusterFileError('its end is missing');
  if (tail.sha256 !== createHash('sha256').update(body).digest('hex'))
    throw new ClusterFileError('it was changed or damaged: its checksum differs');
  const [first = '', ...rest] = body.toString('utf8').trimEnd().split('\n');
  const head = parse(first);
  if (!has(head, 'format') || head.format !== format || !has(head, 'version') || head.version !== version)
    throw new ClusterFileError('it has another form than this version writes');
  if (!has(head, 'cluster') || head.cluster !== cluster) throw new ClusterFileError('it belongs to another cluster');
  if (!has(head, 'config') || typeof head.config !== 'string') throw new ClusterFileError('it has no configuration');
  return {
    config: decodeClusterConfig(clusterConfigKey(cluster), head.config),
    records: rest.map(recordOf),
    leftOut: tail.leftOut,
    asOfMs: mtimeMs,
  };
}

interface Mark {
  readonly bytes: number;
  readonly hash: Hash;
}

/** Lines into a file, in chunks, with a running hash; can go back to where it was. */
class LineWriter {
  readonly #file: FileHandle;
  #hash = createHash('sha256');
  #written = 0;
  #waiting: string[] = [];
  #waitingBytes = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  get bytes(): number {
    return this.#written + this.#waitingBytes;
  }

  async add(value: unknown): Promise<void> {
    const line = `${JSON.stringify(value)}\n`;
    this.#waiting.push(line);
    this.#waitingBytes += Buffer.byteLength(line);
    if (this.#waitingBytes >= chunkBytes) await this.#flush();
  }

  async mark(): Promise<Mark> {
    await this.#flush();
    return { bytes: this.#written, hash: this.#hash.copy() };
  }

  async back(to: Mark): Promise<void> {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#written = to.bytes;
    this.#hash = to.hash.copy();
    await this.#file.truncate(to.bytes);
  }

  async #flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const chunk = Buffer.from(this.#waiting.join(''));
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#hash.update(chunk);
    for (let done = 0; done < chunk.length;) {
      const { bytesWritten } = await this.#file.write(chunk, done, chunk.length - done, this.#written);
      done += bytesWritten;
      this.#written += bytesWritten;
    }
  }
}

function recordOf(line: string): RememberedRecord {
  const value = parse(line);
  if (!isTexts(value) || value.length !== 3) throw new ClusterFileError('a line of it is no record');
  const [kind = '', key = '', text = ''] = value;
  return { kind, key, value: text };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ClusterFileError('a line of it is no JSON', { cause: error });
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function has<K extends string>(value: unknown, member: K): value is Readonly<Record<K, unknown>> {
  return typeof value === 'object' && value !== null && member in value;
}
