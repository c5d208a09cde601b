import type { EngineEvent } from '../contract/index.ts';
import type { Change } from './row.ts';
import type { Selector, Watcher } from './watcher.ts';

/** Events of a commit that are made for its watchers at once; in any case all of its events for some ranges. */
const madeAtOnce = 50_000;
const rangesAtOnce = 4;
/** Whose events a change is, is looked up so many times for a commit. */
const lookedAtOnce = 200_000;

/** Watchers of one range, in one form. */
export interface Group {
  readonly selector: Selector;
  readonly watchers: Set<Watcher>;
}

export interface GatherOptions {
  readonly groupsAt: (key: Uint8Array) => Iterable<Group>;
  readonly groups: () => Iterable<Group>;
  /** How many groups may be handed something at once. */
  readonly maxGroups: number;
  readonly eventOf: (change: Change, group: Group) => EngineEvent | undefined;
}

export interface Gathered {
  /** All that each group gets of the commit. */
  readonly events: Map<Group, EngineEvent[]>;
  /** Those that may get something too, and have to read it from history. */
  readonly late: ReadonlySet<Group>;
}

/**
 * What of a commit is for whom. A deletion of 20,000 keys that 500 ranges have are ten million events, which would hold everybody up
 * for ten seconds: then only the ranges that most watchers share get theirs at once.
 */
export function gather(changes: readonly Change[], options: GatherOptions): Gathered {
  const { groupsAt, groups, maxGroups, eventOf } = options;
  const events = new Map<Group, EngineEvent[]>();
  const late = new Set<Group>();
  const keeps = Math.max(rangesAtOnce, Math.floor(madeAtOnce / Math.max(1, changes.length)));
  let kept: ReadonlySet<Group> | undefined;
  let made = 0;
  let looked = 0;
  const keepSome = (): ReadonlySet<Group> => {
    const most = [...events.keys()].toSorted((a, b) => b.watchers.size - a.watchers.size).slice(0, keeps);
    const some = new Set(most);
    for (const group of events.keys()) if (!some.has(group)) late.add(group);
    for (const group of late) events.delete(group);
    return some;
  };
  const give = (change: Change, group: Group): void => {
    const event = eventOf(change, group);
    if (!event) return;
    made += 1;
    const before = events.get(group);
    if (before) before.push(event);
    else events.set(group, [event]);
  };
  for (const [i, change] of changes.entries()) {
    if (looked > lookedAtOnce) {
      kept ??= keepSome();
      const rest = changes.slice(i);
      for (const group of across(rest, groups())) if (!kept.has(group)) late.add(group);
      for (const one of rest)
        for (const group of kept) if (group.selector.span.contains(one.row.kv.key)) give(one, group);
      break;
    }
    for (const group of groupsAt(change.row.kv.key)) {
      looked += 1;
      if (late.has(group)) continue;
      const known = kept ? kept.has(group) : events.has(group) || events.size < maxGroups;
      if (known) give(change, group);
      else late.add(group);
    }
    if (made > madeAtOnce) kept ??= keepSome();
  }
  return { events, late };
}

/** The groups that may have one of the keys: some that have none find nothing in history. */
function* across(changes: readonly Change[], groups: Iterable<Group>): Generator<Group, void, void> {
  const keys = changes.map((change) => change.row.kv.key);
  const [first] = keys;
  if (!first) return;
  const least = keys.reduce((a, b) => (Buffer.compare(b, a) < 0 ? b : a), first);
  const most = keys.reduce((a, b) => (Buffer.compare(b, a) > 0 ? b : a), first);
  for (const group of groups) {
    const { start, end } = group.selector.span;
    if (Buffer.compare(start, most) <= 0 && (!end || Buffer.compare(end, least) > 0)) yield group;
  }
}
