import { createHash } from 'node:crypto';
import { constants, lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isClusterName } from '../wire/index.ts';
import type { PeerConfig } from './peer-config.ts';
import { policyEnding, policyFileOf } from './peer-policy.ts';

export interface DirectoryScan {
  readonly configs: ReadonlyMap<string, PeerConfig>;
  /** Files with the name of a cluster that hold no configuration at present, with what is wrong: they may be half-written. */
  readonly broken: ReadonlyMap<string, string>;
  /** Files that would be configurations but for their names. */
  readonly misnamed: readonly string[];
}

/** Of an empty file: whoever writes one in place truncates it first. */
export const isEmpty = 'is empty';
export const hasNoEndpoints = 'has no list of endpoints';

/** No limits can be meant by it: a policy that is there, and cannot be read, must not count as none. */
const unreadable = Buffer.from('');

/** What Kubernetes puts into a whole Secret; a configuration has some hundred bytes. */
const maxBytes = 1024 * 1024;

/**
 * The configurations in `directory` (clustermesh-behaviour §2.2): files, also behind links, whose text contains
 * `endpoints:`. That passes over certificates and keys, and over pipes, devices and whatever is longer than 1 MiB. Names that begin with `..` belong to the way Kubernetes mounts
 * secrets. What is allowed to a cluster stands beside its configuration. A directory that does not exist holds none; one that cannot be read is an error.
 */
export async function scanDirectory(directory: string): Promise<DirectoryScan> {
  const configs = new Map<string, PeerConfig>();
  const broken = new Map<string, string>();
  const misnamed: string[] = [];
  for (const name of (await namesIn(directory)).toSorted()) {
    if (name.startsWith('..') || name.endsWith(policyEnding)) continue;
    const path = join(directory, name);
    const { bytes, problem } = await contentOf(path);
    const text = bytes?.toString('utf8') ?? '';
    const isConfig = text.includes('endpoints:');
    if (!isClusterName(name)) {
      if (isConfig) misnamed.push(name);
      continue;
    }
    if (!bytes || !isConfig) {
      if (bytes || problem !== undefined) broken.set(name, problem ?? (text.trim() === '' ? isEmpty : hasNoEndpoints));
      continue;
    }
    const policyPath = join(directory, policyFileOf(name));
    const policyBytes = (await contentOf(policyPath)).bytes ?? ((await isThere(policyPath)) ? unreadable : undefined);
    const hash = createHash('sha256').update(bytes);
    if (policyBytes) hash.update('\0').update(policyBytes);
    const policy = policyBytes && { path: policyPath, text: policyBytes.toString('utf8') };
    configs.set(name, { cluster: name, path, text, hash: hash.digest('hex'), ...(policy ? { policy } : {}) });
  }
  return { configs, broken, misnamed };
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Neither bytes nor a problem: no file (a directory, a pipe that nobody fills, a dangling link, what has just gone). */
async function contentOf(path: string): Promise<{ readonly bytes?: Buffer; readonly problem?: string }> {
  try {
    // Without waiting: whoever opens a pipe waits for its writer, and holds a thread meanwhile.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const about = await file.stat();
    if (!about.isFile()) return {};
    return about.size <= maxBytes ? { bytes: await file.readFile() } : { problem: 'is longer than 1 MiB' };
  } catch (error) {
    const code = codeOf(error) ?? '';
    if (['EISDIR', 'ENOENT', 'ELOOP', 'ENXIO'].includes(code)) return {};
    if (['EACCES', 'EPERM'].includes(code)) return { problem: `cannot be read (${code})` };
    throw error;
  }
}

/** Also a link that leads nowhere, and what may not be looked at. */
async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ENOENT';
  }
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
