/** What the child notes in its file: the answer to a write, right after the engine gave it, or what its watcher was told. */
export type Note =
  | {
      readonly type: 'write';
      readonly revision: number;
      readonly puts: Readonly<Record<string, string>>;
      readonly deletes: readonly string[];
    }
  | { readonly type: 'lease'; readonly id: string }
  | { readonly type: 'compacted'; readonly revision: number }
  /** Every event of one revision: the value of a put, null for a delete. */
  | { readonly type: 'seen'; readonly revision: number; readonly events: Readonly<Record<string, string | null>> };

/** Ways in which a store could lie; the harness must find out. */
export type Defect =
  | 'none'
  | 'acknowledges-early'
  | 'drops-a-row'
  | 'logs-a-row-less'
  | 'marks-what-is-not-applied'
  /** Not to be found by a kill, which leaves the kernel's own memory: only a power cut tells. */
  | 'never-syncs';

/** A value says how many keys its transaction wrote, so that a part of one is known for what it is. */
export function valueOf(seed: string, writer: number, count: number, keys: number): string {
  return `${seed}-${writer}-${count}/${keys}`;
}

export function keysWrittenWith(value: string): number {
  return Number(value.slice(value.indexOf('/') + 1));
}
