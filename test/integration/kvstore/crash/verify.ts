import { isDeepStrictEqual } from 'node:util';
import type { Engine, EngineEvent } from '../../../../kvstore/contract/index.ts';
import { openEmbeddedEngine } from '../../../../kvstore/embedded/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { type Note, keysWrittenWith } from './protocol.ts';

const everything = { key: new Uint8Array([0]), rangeEnd: new Uint8Array([0]) };

/** What the store in `directory` holds against what was acknowledged, and against itself. */
export async function verify(
  directory: string,
  notes: readonly Note[],
  revisionBefore: number,
): Promise<{ readonly violations: string[]; readonly revision: number; readonly compactRevision: number }> {
  await using engine = await openEmbeddedEngine({ directory, clock: systemClock, autoCompaction: { mode: 'off' } });
  const history = await eventsFrom(engine, Math.max(1, engine.compactRevision + 1));
  const violations = [
    ...(engine.revision < revisionBefore ? [`revision went back from ${revisionBefore} to ${engine.revision}`] : []),
    ...lost(notes, engine, history),
    ...torn(history),
    ...unseen(notes, engine, history),
    ...gaps(engine, history),
    ...(await stateViolations(engine, history)),
    ...(await leaseViolations(engine, notes)),
  ];
  return { violations: violations.slice(0, 5), revision: engine.revision, compactRevision: engine.compactRevision };
}

function lost(notes: readonly Note[], engine: Engine, history: readonly EngineEvent[]): string[] {
  const written = new Map<string, string>();
  for (const event of history) written.set(`${event.kv.modRevision} ${keyOf(event)}`, contentOf(event));
  const violations: string[] = [];
  for (const one of notes) {
    if (one.type === 'compacted' && engine.compactRevision < one.revision)
      violations.push(`compaction to ${one.revision} was acknowledged and is lost`);
    if (one.type !== 'write') continue;
    if (one.revision > engine.revision) violations.push(`revision ${one.revision} was acknowledged and is lost`);
    if (one.revision <= engine.compactRevision) continue;
    for (const [key, value] of Object.entries(one.puts))
      if (written.get(`${one.revision} ${key}`) !== value) violations.push(`put of ${key} in ${one.revision} is lost`);
    for (const key of one.deletes)
      if (written.get(`${one.revision} ${key}`) !== '') violations.push(`delete of ${key} in ${one.revision} is lost`);
  }
  return violations;
}

/** A transaction's keys are all there, or none: each value says with how many others it was written. */
function torn(history: readonly EngineEvent[]): string[] {
  const violations: string[] = [];
  for (const [revision, events] of Map.groupBy(history, ({ kv }) => kv.modRevision)) {
    const puts = events.filter(({ type }) => type === 'put');
    const wanted = puts[0] ? keysWrittenWith(contentOf(puts[0])) : 1;
    if (events.length !== wanted) violations.push(`revision ${revision} has ${events.length} keys of ${wanted}`);
  }
  return violations;
}

/** What a watcher was told stays true, and it was told every revision up to its last. */
function unseen(notes: readonly Note[], engine: Engine, history: readonly EngineEvent[]): string[] {
  const written = Map.groupBy(history, ({ kv }) => kv.modRevision);
  const violations: string[] = [];
  let last = 0;
  for (const one of notes) {
    if (one.type !== 'seen') continue;
    if (one.revision <= last) violations.push(`the watcher saw revision ${one.revision} after ${last}`);
    last = one.revision;
    if (one.revision <= engine.compactRevision) continue;
    const events = written.get(one.revision) ?? [];
    const now = Object.fromEntries(
      events.map((event) => [keyOf(event), event.type === 'put' ? contentOf(event) : null]),
    );
    if (!isDeepStrictEqual(now, one.events))
      violations.push(`revision ${one.revision} is lost or not what the watcher saw`);
  }
  return violations;
}

/** Every revision after the compaction changed something. */
function gaps(engine: Engine, history: readonly EngineEvent[]): string[] {
  const seen = new Set(history.map((event) => event.kv.modRevision));
  const violations: string[] = [];
  for (let revision = Math.max(2, engine.compactRevision + 1); revision <= engine.revision; revision++)
    if (!seen.has(revision)) violations.push(`revision ${revision} has no events`);
  return violations;
}

/** The state at the compaction and all events after it make the state of now. */
async function stateViolations(engine: Engine, history: readonly EngineEvent[]): Promise<string[]> {
  const revision = engine.compactRevision;
  const state = new Map<string, string>();
  const before = revision > 0 ? await engine.range({ ...everything, revision }) : { kvs: [] };
  for (const kv of before.kvs) state.set(Buffer.from(kv.key).toString(), describe(kv));
  for (const event of history) {
    if (event.type === 'put') state.set(keyOf(event), describe(event.kv));
    else state.delete(keyOf(event));
  }
  const now = new Map((await engine.range(everything)).kvs.map((kv) => [Buffer.from(kv.key).toString(), describe(kv)]));
  const keys = new Set([...state.keys(), ...now.keys()]);
  return [...keys]
    .filter((key) => state.get(key) !== now.get(key))
    .map((key) => `${key} is ${now.get(key)} but its history says ${state.get(key)}`);
}

async function leaseViolations(engine: Engine, notes: readonly Note[]): Promise<string[]> {
  const known = new Set((await engine.leases()).map(String));
  const violations = notes.flatMap((one) =>
    one.type === 'lease' && !known.has(one.id) ? [`lease ${one.id} was acknowledged and is lost`] : [],
  );
  const attached = new Map<string, string[]>();
  for (const kv of (await engine.range(everything)).kvs)
    attached.set(`${kv.lease}`, [...(attached.get(`${kv.lease}`) ?? []), Buffer.from(kv.key).toString()]);
  for (const id of known) {
    const { keys } = await engine.leaseTimeToLive(BigInt(id), true);
    const listed = keys.map((key) => Buffer.from(key).toString()).toSorted();
    if (listed.join() !== (attached.get(id) ?? []).toSorted().join()) violations.push(`lease ${id} lists other keys`);
  }
  return violations;
}

function eventsFrom(engine: Engine, startRevision: number): Promise<EngineEvent[]> {
  const events: EngineEvent[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<EngineEvent[]>();
  const watcher = engine.watch(
    { ...everything, startRevision },
    {
      events: (some) => void events.push(...some),
      failed: reject,
      compacted: (revision) => reject(new Error(`History below ${revision} is gone, ${startRevision} was asked for`)),
    },
  );
  const look = (): void => {
    if (watcher.synced) resolve(events);
    else setImmediate(look);
  };
  look();
  return promise.finally(() => watcher.cancel());
}

function keyOf(event: EngineEvent): string {
  return Buffer.from(event.kv.key).toString();
}

function contentOf(event: EngineEvent): string {
  return Buffer.from(event.kv.value).toString().trimEnd();
}

function describe(kv: EngineEvent['kv']): string {
  return `${kv.createRevision}/${kv.modRevision}/${kv.version}/${kv.lease}=${Buffer.from(kv.value).toString().trimEnd()}`;
}
