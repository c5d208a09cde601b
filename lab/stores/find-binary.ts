import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The server of a store is not on this machine. */
export class StoreBinaryError extends Error {
  override readonly name = 'StoreBinaryError';

  constructor(kind: 'etcd' | 'consul') {
    super(`There is no ${kind} in PATH; install it, or name it: ${variableOf(kind)}=/path/to/${kind}`);
  }
}

/** The executable of a store's server: named by `ISTHMUS_LAB_ETCD` or `ISTHMUS_LAB_CONSUL`, or in PATH. @throws {StoreBinaryError} */
export function findStoreBinary(kind: 'etcd' | 'consul', env: NodeJS.ProcessEnv = process.env): string {
  const named = env[variableOf(kind)];
  const candidates = named ? [named] : (env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, kind));
  const found = candidates.find(isExecutable);
  if (found === undefined) throw new StoreBinaryError(kind);
  return found;
}

function variableOf(kind: 'etcd' | 'consul'): string {
  return `ISTHMUS_LAB_${kind.toUpperCase()}`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
