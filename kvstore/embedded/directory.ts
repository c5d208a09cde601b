import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../../runtime/files/index.ts';
import { StoreDirectoryError } from './directory-error.ts';
import { lockPrefix } from './directory-lock.ts';

const markerName = 'isthmus-store.json';
/** Raised whenever the other side of a change could not read what this one writes. 2: rows as etcd's messages; 3: a log before the tables. */
export const storeFormat = 3;

/** Makes an absent directory; one that is there must be ours, or empty, and is not touched. @throws {StoreDirectoryError} */
export function checkDirectory(directory: string): void {
  makeDirectory(directory, 0o700);
  checkContent(directory);
}

/**
 * Makes an empty directory ours; whoever calls it has locked it. Gives the seal, once there is one: before that nobody was
 * answered from the store. @throws {StoreDirectoryError}
 */
export function markDirectory(directory: string): string | undefined {
  checkContent(directory);
  const marker = join(directory, markerName);
  if (!existsSync(marker)) {
    writeDurably(directory, marker, `${JSON.stringify({ product: 'isthmus', format: storeFormat })}\n`);
    return undefined;
  }
  const { store } = parseMarker(readFileSync(marker, 'utf8'));
  return typeof store === 'string' ? store : undefined;
}

/** Says in the mark which store there is from now on, so that one that lacks its tables is not taken for a new one. */
export function sealDirectory(directory: string, store: string): void {
  const content = { product: 'isthmus', format: storeFormat, store };
  writeDurably(directory, join(directory, markerName), `${JSON.stringify(content)}\n`);
}

function checkContent(directory: string): void {
  const marker = join(directory, markerName);
  if (existsSync(marker)) {
    checkMarker(directory, readFileSync(marker, 'utf8'));
    return;
  }
  const passedOver = ['lost+found', `${markerName}.`, lockPrefix];
  const found = readdirSync(directory).filter((name) => !passedOver.some((prefix) => name.startsWith(prefix)));
  if (found.length > 0) {
    const shown = found.slice(0, 3).join(', ');
    throw new StoreDirectoryError(
      'foreign',
      directory,
      `Directory ${directory} is not empty and holds no store of ours (found ${shown}); choose another data directory`,
    );
  }
}

function checkMarker(directory: string, text: string): void {
  const { product, format } = parseMarker(text);
  if (product !== 'isthmus' || typeof format !== 'number')
    throw new StoreDirectoryError('foreign', directory, `Directory ${directory} holds a store of another program`);
  if (format > storeFormat)
    throw new StoreDirectoryError(
      'newer',
      directory,
      `Store in ${directory} has format ${format}, this version reads up to ${storeFormat}; use the newer isthmus`,
    );
  if (format < storeFormat)
    throw new StoreDirectoryError(
      'older',
      directory,
      `Store in ${directory} has format ${format} of an older isthmus, this version reads ${storeFormat}; move the directory away and start with an empty one (apiserver and agents write their records again), or stay with the older isthmus`,
    );
}

function parseMarker(text: string): {
  readonly product?: unknown;
  readonly format?: unknown;
  readonly store?: unknown;
} {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** The file is there with all of its content, or not at all: also where it cannot be written, as on hugetlbfs. */
function writeDurably(directory: string, path: string, text: string): void {
  const temporary = `${path}.${process.pid}`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  const parent = openSync(directory, 'r');
  fsyncSync(parent);
  closeSync(parent);
}
