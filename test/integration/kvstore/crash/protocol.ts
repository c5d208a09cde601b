/** One acknowledged write, as the child notes it in its file right after the engine answered: a line of JSON. */
export type Acknowledged =
  | {
      readonly type: 'write';
      readonly revision: number;
      readonly puts: Readonly<Record<string, string>>;
      readonly deletes: readonly string[];
    }
  | { readonly type: 'lease'; readonly id: string }
  | { readonly type: 'compacted'; readonly revision: number };

/** Ways in which a store could lie; the harness must find out. */
export type Defect = 'none' | 'acknowledges-early' | 'drops-a-row' | 'logs-a-row-less' | 'marks-what-is-not-applied';
