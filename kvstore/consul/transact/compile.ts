import type { ConsulEntry } from '../entry.ts';
import { sessionOfLease } from '../keys.ts';
import { type Condition, type Prepared, type Step, maxOperations } from './prepare.ts';
import { type WireOperation, lockOf, put } from './wire.ts';

const empty = new Uint8Array();

export type State = ReadonlyMap<string, ConsulEntry | undefined>;

/**
 * A transaction that Consul can decide alone, without reading first: conditions that it has verbs for, puts under a
 * lease, deletes of keys whose revision is a condition. Undefined for any other.
 */
export function compileDirectly(prepared: Prepared): WireOperation[] | undefined {
  const operations: WireOperation[] = [];
  const guarded = new Map<string, number>();
  for (const { key, compare } of prepared.when) {
    const check = directCheck(key, compare);
    if (!check) return undefined;
    if (check.Verb === 'check-index') guarded.set(key, check.Index ?? 0);
    operations.push(check);
  }
  for (const step of prepared.then) {
    if (step.type === 'put' && step.lease !== 0n) operations.push(lockOf(step.key, step.value, step.lease));
    else if (step.type === 'delete' && guarded.has(step.key)) operations.push({ Verb: 'delete', Key: step.key });
    else return undefined;
  }
  return operations.length > 0 && operations.length <= maxOperations ? operations : undefined;
}

function directCheck(key: string, compare: Condition['compare']): WireOperation | undefined {
  if (compare.result !== 'equal') return undefined;
  if (compare.target === 'mod' && compare.value > 0) return { Verb: 'check-index', Key: key, Index: compare.value };
  if (compare.target === 'lease' && compare.value !== 0n)
    return { Verb: 'check-session', Key: key, Session: sessionOfLease(compare.value) };
  const absent = compare.target === 'mod' || compare.target === 'create' || compare.target === 'version';
  return absent && compare.value === 0 ? { Verb: 'check-not-exists', Key: key } : undefined;
}

export interface Compiled {
  readonly operations: readonly WireOperation[];
  /** Keys that another lease holds and that have to be let go first, since all at once is too much for Consul. */
  readonly release: readonly string[];
}

/**
 * A branch as operations that pass only while everything that mattered is still as it was read.
 * @param guards keys whose state decided on the branch
 */
export function compileAgainst(state: State, steps: readonly Step[], guards: ReadonlySet<string>): Compiled {
  const checks = new Map<string, WireOperation>();
  const optional = new Map<string, WireOperation>();
  const writes: WireOperation[] = [];
  const moved: string[] = [];
  const covered = new Set<string>();
  for (const step of steps) {
    const entry = state.get(step.key);
    if (step.type === 'delete') {
      if (!entry) continue;
      // Consul takes the deletion of an absent key for a success.
      optional.set(step.key, checkOf(step.key, entry));
      writes.push({ Verb: 'delete-cas', Key: step.key, Index: entry.ModifyIndex });
    } else if (step.type === 'put') {
      const holder = entry?.Session ?? '';
      const moves = holder !== '' && (step.lease === 0n || holder !== sessionOfLease(step.lease));
      if (moves) {
        // What is locked right after gets its value then: twice, a large one would be more than Consul takes at once.
        const between = step.lease === 0n ? step.value : empty;
        writes.push({ Verb: 'unlock', Session: holder, ...put(step.key, between) });
      }
      if (step.lease !== 0n) {
        if (moves) moved.push(step.key);
        writes.push(lockOf(step.key, step.value, step.lease));
      } else if (!moves) {
        covered.add(step.key);
        writes.push({ Verb: 'cas', Index: entry?.ModifyIndex ?? 0, ...put(step.key, step.value) });
      }
    }
  }
  const looked = steps.filter(({ type, key }) => type === 'get' || (type === 'delete' && !state.get(key)));
  for (const key of [...guards, ...looked.map((step) => step.key)])
    if (!covered.has(key)) checks.set(key, checkOf(key, state.get(key)));
  for (const key of checks.keys()) optional.delete(key);
  const needed = checks.size + writes.length;
  const extra = needed + optional.size <= maxOperations ? [...optional.values()] : [];
  return {
    operations: [...checks.values(), ...extra, ...writes],
    release: needed > maxOperations && needed - moved.length <= maxOperations ? moved : [],
  };
}

function checkOf(key: string, entry: ConsulEntry | undefined): WireOperation {
  return entry ? { Verb: 'check-index', Key: key, Index: entry.ModifyIndex } : { Verb: 'check-not-exists', Key: key };
}
