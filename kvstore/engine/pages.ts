import type { Page, RangeRequest, RangeResponse } from '../contract/index.ts';
import { plainKeyValue } from './row.ts';
import { successor } from './span.ts';
import { prefixRange } from './translate.ts';

export interface PagesOptions {
  readonly pageSize?: number | undefined;
  /** That of the first page unless told. */
  readonly revision?: number | undefined;
}

const defaultPageSize = 1_000;

/** All keys that begin with `prefix`, page by page, as of one revision. */
export async function* pagesOf(
  range: (request: RangeRequest) => Promise<RangeResponse>,
  prefix: Uint8Array,
  options: PagesOptions = {},
): AsyncGenerator<Page, void, void> {
  const { rangeEnd, key: first } = prefixRange(prefix);
  const limit = Math.max(1, options.pageSize ?? defaultPageSize);
  let key = first;
  let { revision } = options;
  for (;;) {
    const page = await range({ key, rangeEnd, limit, ...(revision === undefined ? {} : { revision }) });
    revision ??= page.revision;
    yield { entries: page.kvs.map(plainKeyValue), revision, more: page.more };
    const last = page.kvs.at(-1);
    if (!page.more || !last) return;
    key = successor(last.key);
  }
}
