import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { StoreDirectoryError } from './directory-error.ts';

const markerName = 'isthmus-store.json';
/** Raised whenever an older program could no longer read what a newer one writes. */
export const storeFormat = 1;

/**
 * Makes sure that the directory is ours and of a format that we read, before anything in it is opened; an absent or
 * empty one becomes ours. @throws {StoreDirectoryError}
 */
export function claimDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const marker = join(directory, markerName);
  if (existsSync(marker)) {
    checkMarker(directory, readFileSync(marker, 'utf8'));
    return;
  }
  const found = readdirSync(directory).filter((name) => name !== 'lost+found' && !name.startsWith(`${markerName}.`));
  if (found.length > 0) {
    const shown = found.slice(0, 3).join(', ');
    throw new StoreDirectoryError(
      'foreign',
      directory,
      `Directory ${directory} is not empty and holds no store of ours (found ${shown}); choose another data directory`,
    );
  }
  writeDurably(directory, marker, `${JSON.stringify({ product: 'isthmus', format: storeFormat })}\n`);
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
}

function parseMarker(text: string): { readonly product?: unknown; readonly format?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** The file is there with all of its content, or not at all. */
function writeDurably(directory: string, path: string, text: string): void {
  const temporary = `${path}.${process.pid}`;
  const file = openSync(temporary, 'w', 0o600);
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, path);
  const parent = openSync(directory, 'r');
  fsyncSync(parent);
  closeSync(parent);
}
