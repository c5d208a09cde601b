import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import type { Schedule } from '../../runtime/retry/index.ts';
import { isAbort } from '../../runtime/tasks/index.ts';
import type { KubernetesEvent, KubernetesKind, SourceObserver } from '../objects/index.ts';
import { ApiError, isExpired } from './api-error.ts';
import type { ApiServer } from './api-server.ts';
import { explain, failureOf } from './explain.ts';
import { KnownOfKind } from './known-of-kind.ts';
import { listPages } from './list.ts';
import { type Resource, resourceName, resourceOf } from './resources.ts';
import type { Unread } from './unread.ts';
import { UnreadableChangeError, watchChanges } from './watch.ts';

export interface FollowOptions {
  readonly api: ApiServer;
  readonly clock: Clock;
  readonly log: Logger;
  readonly schedule: Schedule;
  readonly pageSize: number;
  readonly random: () => number;
  readonly observer: SourceObserver;
}

/** A watch that ends sooner, and has told nothing, is no sign of health. */
const briefMs = 5_000;

/**
 * One kind of an API server, until `signal` aborts: a listing, then changes from where it ended. Where the server does not
 * remember that any more, another listing; what it lacks comes as deletes when it is complete, never before. What the
 * server refuses is never taken for nothing.
 */
export async function* followKind(
  kind: KubernetesKind,
  options: FollowOptions,
  unread: Unread,
  signal: AbortSignal,
): AsyncGenerator<readonly KubernetesEvent[], void, void> {
  const { api, clock, log, schedule, random, observer } = options;
  const resource = resourceOf(kind);
  const known = new KnownOfKind(kind, unread, log);
  const place: Place = { version: undefined, resourceVersion: undefined, synced: false };
  let failures = 0;
  let said = '';
  const healthy = (): void => {
    failures = 0;
  };
  const opened = (): void => {
    observer.contact(kind);
    unread.kindIsRead(kind);
    if (said !== '') log.info('Kubernetes objects can be read again', { kind });
    said = '';
  };
  while (!signal.aborted) {
    const startedMs = clock.monotonicMs();
    try {
      if (place.resourceVersion === undefined) yield* list(resource, known, place, options, signal);
      yield* watch(resource, known, place, { ...options, healthy, opened }, signal);
      if (clock.monotonicMs() - startedMs >= briefMs) failures = 0;
      else if (failures++ > 0) await clock.sleep(schedule(failures, random()), signal);
    } catch (error) {
      if (signal.aborted || isAbort(error, signal)) return;
      const again = isExpired(error) || error instanceof UnreadableChangeError;
      if (again) place.resourceVersion = undefined;
      // It may come back under another version, with objects that nobody has told us of.
      if (error instanceof ApiError && error.status === 404) {
        place.version = undefined;
        place.resourceVersion = undefined;
      }
      if (error instanceof ApiError && error.status === 401) api.refresh();
      failures += 1;
      observer.failure(kind, failureOf(error));
      const { reason, hint, lasting } = explain(error, resource);
      if (isExpired(error)) log.info('A listing has to begin anew', { kind, [fields.error]: reason });
      else if (lasting || failures > 1) {
        unread.kind(kind, resourceName(resource), hint === undefined ? reason : `${reason}. ${hint}`);
        if (said !== reason)
          log.warn('Cannot read Kubernetes objects, will be repeated', {
            kind,
            [fields.endpoint]: api.description,
            [fields.error]: reason,
            ...(hint === undefined ? {} : { [fields.hint]: hint }),
          });
        said = reason;
      }
      const wanted = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
      try {
        await clock.sleep(Math.max(wanted, schedule(failures, random())), signal);
      } catch (aborted) {
        if (isAbort(aborted, signal)) return;
        throw aborted;
      }
    }
  }
}

/** Where we are with a kind. */
interface Place {
  /** The version of the API that serves it, once one did. */
  version: string | undefined;
  /** Up to where we know; absent: everything has to be listed. */
  resourceVersion: string | undefined;
  synced: boolean;
}

async function* list(
  resource: Resource,
  known: KnownOfKind,
  place: Place,
  { api, pageSize, observer }: FollowOptions,
  signal: AbortSignal,
): AsyncGenerator<readonly KubernetesEvent[], void, void> {
  const version = (place.version ??= await servedVersion(api, resource, signal));
  observer.listing(resource.kind);
  known.beginListing();
  let end = '';
  for await (const page of listPages(api, resource, version, { signal, pageSize })) {
    observer.contact(resource.kind);
    yield known.listed(page.items);
    end = page.resourceVersion;
  }
  const gone = known.endListing();
  yield place.synced ? gone : [...gone, { type: 'synced', kind: resource.kind }];
  place.synced = true;
  place.resourceVersion = end;
}

async function* watch(
  resource: Resource,
  known: KnownOfKind,
  place: Place,
  options: FollowOptions & { readonly healthy: () => void; readonly opened: () => void },
  signal: AbortSignal,
): AsyncGenerator<readonly KubernetesEvent[], void, void> {
  const { api, random, healthy, opened, observer } = options;
  const { version, resourceVersion } = place;
  if (version === undefined || resourceVersion === undefined) return;
  // Not all at once: watches of all kinds, and of all replicas, end at different times. Short, since something between us and the server
  // that keeps a dead connection alive is noticed by nothing but an end that does not come.
  const timeoutSeconds = 60 + Math.floor(random() * 60);
  const changes = watchChanges(api, resource, version, { signal, resourceVersion, timeoutSeconds, opened });
  for await (const batch of changes) {
    observer.contact(resource.kind);
    const { events, resourceVersion: reached } = known.changed(batch);
    if (events.length > 0) yield events;
    place.resourceVersion = reached ?? place.resourceVersion;
    healthy();
  }
}

/** The first version that the server has. @throws {ApiError} of the last one. */
async function servedVersion(api: ApiServer, resource: Resource, signal: AbortSignal): Promise<string> {
  const [only, ...others] = resource.versions;
  // The listing will tell.
  if (only !== undefined && others.length === 0) return only;
  let last: unknown;
  for (const version of resource.versions) {
    try {
      const one = { signal, pageSize: 1 };
      for await (const _page of listPages(api, resource, version, one)) return version;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      last = error;
    }
  }
  throw last;
}
