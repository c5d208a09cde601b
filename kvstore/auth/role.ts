import { type Bytes, type KeyRange, prefixEnd, toBytes } from '../contract/index.ts';

export type Access = 'read' | 'write' | 'readwrite';

/** Keys, and what may be done with them. */
export interface Permission {
  readonly access: Access;
  readonly range: KeyRange;
  /**
   * Which of the keys: asked for each one that is to be read or written by itself. A range is then never granted.
   * All keys of the range unless given.
   */
  readonly only?: (key: Uint8Array) => boolean | Promise<boolean>;
}

/** What users are given together, as in etcd. */
export interface Role {
  readonly name: string;
  /** Everything, and what is not about keys: compaction, snapshots, alarms. */
  readonly root?: true;
  readonly permissions: readonly Permission[];
}

/** etcd's role of that name. */
export const rootRole: Role = { name: 'root', root: true, permissions: [] };

export function permitKey(access: Access, key: Bytes): Permission {
  return { access, range: { key: toBytes(key) } };
}

/** All keys that begin with `prefix`; all keys where it is empty. */
export function permitPrefix(access: Access, prefix: Bytes): Permission {
  const key = toBytes(prefix);
  return { access, range: { key, rangeEnd: prefixEnd(key) } };
}

/** Keys from `from` on, up to but not `to`. */
export function permitRange(access: Access, from: Bytes, to: Bytes): Permission {
  return { access, range: { key: toBytes(from), rangeEnd: toBytes(to) } };
}
