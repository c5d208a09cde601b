import { readRevision, writeRevision } from './row-codec.ts';
import { damaged } from './table-file.ts';
import type { Tables } from './table-types.ts';

export const metaKeys = {
  format: Buffer.from('format'),
  cluster: Buffer.from('cluster'),
  member: Buffer.from('member'),
  revision: Buffer.from('revision'),
  /** Number of the last record of the write-ahead log that the tables have. */
  applied: Buffer.from('applied'),
  /** Whose write-ahead log there must be; absent after a clean stop. */
  wal: Buffer.from('wal'),
  /** What time the leases had left at an orderly stop; taken away by the next start. */
  times: Buffer.from('times'),
  /** Revisions below it cannot be read any more. */
  compacted: Buffer.from('compacted'),
  /** How far the rows of that compaction are gone: the log key to go on from. */
  sweep: Buffer.from('sweep'),
} as const;

export function revisionBytes(revision: number): Buffer {
  const bytes = Buffer.alloc(8);
  writeRevision(bytes, revision, 0);
  return bytes;
}

export function metaRevision(tables: Pick<Tables, 'meta'>, key: Buffer, missing: number): number {
  const bytes = tables.meta.get(key);
  return bytes ? readRevision(bytes, 0) : missing;
}

export function metaId(tables: Tables, key: Buffer): bigint {
  const bytes = tables.meta.get(key);
  if (!bytes) throw damaged(tables.directory, 'it has no ids');
  return bytes.readBigUInt64BE(0);
}
