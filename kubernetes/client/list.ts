import type { ApiServer } from './api-server.ts';
import { errorOf } from './api-error.ts';
import { readText } from './body.ts';
import { type Resource, apiVersionOf, collectionPath, resourceName } from './resources.ts';

export interface ListOptions {
  readonly signal: AbortSignal;
  /** Objects in one answer: what has to be held at once. */
  readonly pageSize: number;
}

export interface ListPage {
  /** In the form of the API. */
  readonly items: readonly unknown[];
  /** That of the whole listing: a watch goes on from there. */
  readonly resourceVersion: string;
}

/** The longest text that the runtime can hold; pages are far shorter. */
const maxPageBytes = 512 * 1024 * 1024;
const idleMs = 60_000;

/**
 * All objects of a resource as of one moment, page by page.
 * @throws {ApiError} also in the middle: expired when the pages took longer than the server remembers that moment.
 */
export async function* listPages(
  api: ApiServer,
  resource: Resource,
  version: string,
  { signal, pageSize }: ListOptions,
): AsyncGenerator<ListPage, void, void> {
  const operation = `list ${resourceName(resource)}`;
  for (let next = ''; ;) {
    const query = new URLSearchParams({ limit: String(pageSize), ...(next === '' ? {} : { continue: next }) });
    const path = `${collectionPath(resource, version)}?${query.toString()}`;
    using answer = await api.request('GET', path, { signal, idleMs });
    if (answer.status !== 200) throw await errorOf(operation, answer);
    const list = JSON.parse(await readText(answer.body, maxPageBytes)) as RawList;
    const { resourceVersion, continue: more = '' } = list.metadata ?? {};
    if (!Array.isArray(list.items) || typeof resourceVersion !== 'string' || resourceVersion === '')
      throw new Error(`Cannot ${operation}: the answer is no list with a resourceVersion`);
    // Items of a list leave out what the list says of them.
    const common = { apiVersion: apiVersionOf(resource, version), kind: resource.kind };
    yield { items: list.items.map((item: object) => ({ ...item, ...common })), resourceVersion };
    if (more === '') return;
    next = more;
  }
}

interface RawList {
  readonly metadata?: { readonly resourceVersion?: unknown; readonly continue?: string };
  readonly items?: unknown;
}
