import type { Encodable, methods } from '../../../../kvstore/etcd/wire/index.ts';
import type { Random } from '../../../../runtime/random/index.ts';

type In<M extends keyof typeof methods> = Encodable<(typeof methods)[M]['request']>;

/** One step that is done to both servers. */
export type Operation =
  | { readonly kind: 'range'; readonly request: In<'range'> }
  | { readonly kind: 'put'; readonly request: In<'put'> }
  | { readonly kind: 'delete'; readonly request: In<'deleteRange'> }
  | { readonly kind: 'txn'; readonly request: In<'txn'> }
  | { readonly kind: 'compact'; readonly request: In<'compact'> }
  | { readonly kind: 'grant'; readonly request: In<'leaseGrant'> }
  | { readonly kind: 'revoke'; readonly request: In<'leaseRevoke'> }
  | { readonly kind: 'time-to-live'; readonly request: In<'leaseTimeToLive'> }
  | { readonly kind: 'leases' }
  | { readonly kind: 'keep-alive'; readonly request: In<'leaseKeepAlive'> }
  | { readonly kind: 'watch'; readonly request: NonNullable<In<'watch'>['create']> }
  | { readonly kind: 'cancel-watch'; readonly request: NonNullable<In<'watch'>['cancel']> };

/** What the generator needs to know to ask sensible questions (and now and then others). */
export interface Known {
  revision: number;
  compactRevision: number;
  /** Latest revision that a watch waits for. */
  awaited: number;
}

const of = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const filters = [['no-put'], ['no-delete'], ['no-put', 'no-delete']] as const;
const sortOrders = ['none', 'ascend', 'descend'] as const;
const sortTargets = ['key', 'version', 'create', 'mod', 'value'] as const;

export function randomOperation(random: Random, known: Known): Operation {
  const dice = random.int(100);
  if (dice < 26) return { kind: 'put', request: put(random) };
  if (dice < 48) return { kind: 'range', request: range(random, known) };
  if (dice < 58) return { kind: 'delete', request: remove(random) };
  if (dice < 71) return { kind: 'txn', request: survived(txn(random, known, 0)) };
  if (dice < 76) return { kind: 'txn', request: readingTxn(random, known, 0) };
  if (dice < 79) return { kind: 'compact', request: { revision: someRevision(random, known, 0.7) } };
  if (dice < 83)
    return {
      kind: 'grant',
      request: { id: leaseId(random), ttl: random.pick([600, 3600, 9_000_000_000, 9_000_000_001]) },
    };
  if (dice < 86) return { kind: 'revoke', request: { id: leaseId(random) } };
  if (dice < 89) return { kind: 'time-to-live', request: { id: leaseId(random), keys: random.chance(0.7) } };
  if (dice < 90) return { kind: 'leases' };
  if (dice < 92) return { kind: 'keep-alive', request: { id: leaseId(random) } };
  if (dice < 97) return { kind: 'watch', request: watch(random, known) };
  return { kind: 'cancel-watch', request: { watchId: BigInt(random.int(12)) } };
}

/** Some two dozen keys, so that operations meet and more than a dozen tie; a few that are awkward. */
function key(random: Random): Uint8Array {
  if (random.chance(0.02)) return of('');
  if (random.chance(0.04)) return of(random.pick(['\0', 'k\xff', '\xff\xff', 'k']));
  return of(`k${String.fromCharCode(97 + random.int(26))}`);
}

function span(random: Random): { key: Uint8Array; rangeEnd?: Uint8Array } {
  const from = key(random);
  const dice = random.int(10);
  if (dice < 4) return { key: from };
  if (dice < 7) return { key: of('k'), rangeEnd: of('l') };
  if (dice < 8) return { key: from, rangeEnd: of('\0') };
  return { key: from, rangeEnd: key(random) };
}

const leaseId = (random: Random): bigint => BigInt(1000 + random.int(6));

function someRevision(random: Random, known: Known, recent = 0.8): number {
  if (random.chance(0.04)) return known.revision + 1 + random.int(5);
  if (random.chance(0.12)) return known.compactRevision - 2 + random.int(3);
  const kept = Math.max(1, known.revision - known.compactRevision);
  const back = random.chance(recent) ? random.int(Math.min(kept, 20)) : random.int(kept);
  return known.revision - back;
}

function range(random: Random, known: Known): In<'range'> {
  return {
    ...span(random),
    ...(random.chance(0.3) ? { limit: 1 + random.int(15) } : {}),
    ...(random.chance(0.4) ? { revision: someRevision(random, known) } : {}),
    ...(random.chance(0.4) ? { sortOrder: random.pick(sortOrders), sortTarget: random.pick(sortTargets) } : {}),
    ...(random.chance(0.1) ? { keysOnly: true } : {}),
    ...(random.chance(0.1) ? { countOnly: true } : {}),
    ...(random.chance(0.1) ? { serializable: true } : {}),
    ...(random.chance(0.08) ? { minModRevision: bound(random, known) } : {}),
    ...(random.chance(0.08) ? { maxModRevision: bound(random, known) } : {}),
    ...(random.chance(0.08) ? { minCreateRevision: bound(random, known) } : {}),
    ...(random.chance(0.08) ? { maxCreateRevision: bound(random, known) } : {}),
  };
}

/** Mostly near the present, where most rows are. */
function bound(random: Random, known: Known): number {
  return random.chance(0.7) ? Math.max(0, known.revision - random.int(60)) : random.int(known.revision + 2);
}

function put(random: Random): In<'put'> {
  const ignoreValue = random.chance(0.08);
  const ignoreLease = random.chance(0.05);
  return {
    key: key(random),
    ...(ignoreValue && random.chance(0.9) ? {} : { value: of('v'.repeat(random.int(4)) + random.int(5)) }),
    ...(random.chance(ignoreLease ? 0.1 : 0.2) ? { lease: leaseId(random) } : {}),
    prevKv: random.chance(0.4),
    ignoreValue,
    ignoreLease,
  };
}

function remove(random: Random): In<'deleteRange'> {
  // Mostly one key or a narrow range, or there would never be anything to find.
  if (random.chance(0.8)) return { key: key(random), prevKv: random.chance(0.5) };
  return { ...span(random), prevKv: random.chance(0.5) };
}

function compare(random: Random, known: Known): NonNullable<In<'txn'>['compare']>[number] {
  const target = random.pick(['version', 'create', 'mod', 'value', 'lease'] as const);
  const where = {
    result: random.pick(['equal', 'greater', 'less', 'not-equal'] as const),
    target,
    key: key(random),
    ...(random.chance(0.15) ? { rangeEnd: key(random) } : {}),
  };
  // Now and then etcd's union is left out, which compares with zero.
  if (random.chance(0.05)) return where;
  switch (target) {
    case 'version':
      return { ...where, version: random.int(3) };
    case 'create':
      return { ...where, createRevision: random.chance(0.5) ? 0 : random.int(known.revision + 2) };
    case 'mod':
      return { ...where, modRevision: random.int(known.revision + 2) };
    case 'value':
      return { ...where, value: of(`v${random.int(5)}`) };
    case 'lease':
      return { ...where, lease: random.chance(0.5) ? 0n : leaseId(random) };
  }
}

type Op = NonNullable<In<'txn'>['success']>[number];

function txn(random: Random, known: Known, depth: number): In<'txn'> {
  const ops = (): Op[] => Array.from({ length: random.int(4) }, () => op(random, known, depth));
  return {
    compare: Array.from({ length: random.int(3) }, () => compare(random, known)),
    success: ops(),
    failure: ops(),
  };
}

function op(random: Random, known: Known, depth: number): Op {
  const dice = random.int(20);
  if (dice < 8) return { put: put(random) };
  if (dice < 14) return { range: range(random, known) };
  if (dice < 17 || depth > 1) return { deleteRange: remove(random) };
  if (dice < 19) return { txn: txn(random, known, depth + 1) };
  return { range: { key: of('k'), rangeEnd: of('l'), limit: random.int(4) } };
}

/**
 * etcd 3.6 looks for keys that a transaction both puts and deletes before it begins, but takes a deletion from a key to the
 * end (`\0`) for an empty one. A put that keeps its key's value or lease finds no key then, and etcd ends itself in the middle
 * of the transaction ("unexpected error during txn with writes"); ours puts the key. So there is none in such a transaction.
 */
function survived(request: In<'txn'>): In<'txn'> {
  return deletesToEnd(request) ? keepingNothing(request) : request;
}

const operations = ({ success = [], failure = [] }: In<'txn'>): readonly Op[] => [...success, ...failure];

function deletesToEnd(request: In<'txn'>): boolean {
  return operations(request).some((one) =>
    one.txn ? deletesToEnd(one.txn) : one.deleteRange?.rangeEnd?.length === 1 && one.deleteRange.rangeEnd[0] === 0,
  );
}

function keepingNothing(request: In<'txn'>): In<'txn'> {
  const changed = ({ txn: nested, put: one, ...other }: Op): Op => {
    if (nested) return { txn: keepingNothing(nested) };
    return one ? { put: { ...one, ignoreValue: false, ignoreLease: false } } : other;
  };
  return { ...request, success: request.success?.map(changed) ?? [], failure: request.failure?.map(changed) ?? [] };
}

export function randomReadingTxn(random: Random, known: Known): In<'txn'> {
  return readingTxn(random, known, 0);
}

/** Writes nothing in either branch: many ranges, nested ones too, of the present and of older revisions. */
function readingTxn(random: Random, known: Known, depth: number): In<'txn'> {
  const ops = (): Op[] =>
    Array.from({ length: random.int(depth === 0 ? 12 : 5) }, () =>
      depth < 3 && random.chance(0.25)
        ? { txn: readingTxn(random, known, depth + 1) }
        : { range: random.chance(0.6) ? { ...range(random, known), revision: 0 } : range(random, known) },
    );
  const compared = Array.from({ length: random.int(3) }, () => compare(random, known));
  return { compare: compared, success: ops(), failure: ops() };
}

function watch(random: Random, known: Known): NonNullable<In<'watch'>['create']> {
  return {
    ...span(random),
    ...(random.chance(0.7) ? { startRevision: someRevision(random, known, 0.3) } : {}),
    ...(random.chance(0.4) ? { prevKv: true } : {}),
    ...(random.chance(0.3) ? { filters: [...random.pick<(typeof filters)[number]>(filters)] } : {}),
    ...(random.chance(0.2) ? { fragment: true } : {}),
    ...(random.chance(0.2) ? { progressNotify: true } : {}),
    ...(random.chance(0.2) ? { watchId: BigInt(random.int(12)) } : {}),
  };
}
