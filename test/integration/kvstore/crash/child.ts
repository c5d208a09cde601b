import fs, { openSync, writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { MvccEngine } from '../../../../kvstore/engine/index.ts';
import { type Writer, lmdbWriter } from '../../../../kvstore/embedded/group-commit.ts';
import { LmdbBackend } from '../../../../kvstore/embedded/lmdb-backend.ts';
import { openLog } from '../../../../kvstore/embedded/open-log.ts';
import { openTables } from '../../../../kvstore/embedded/tables.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { randomFrom } from '../../../unit/kvstore/random.ts';
import { type Defect, type Note, valueOf } from './protocol.ts';
import type { TableWrite } from '../../../../kvstore/embedded/table-types.ts';

// Writes without end to the store in a directory, from several writers at once, until it is killed:
// `node child.ts DIRECTORY ACKNOWLEDGEMENTS SEED DEFECT`.
const [directory = '', file = '', seed = '0', defect = 'none'] = process.argv.slice(2);
const random = randomFrom(Number(seed));
const notes = openSync(file, 'a');
if (defect === 'never-syncs') switchSyncOff();
const tables = await openTables(directory);
const log = openLog(tables);
const writeToLmdb = lmdbWriter(tables);
const lie = lies()[defect as Defect];
const engine = new MvccEngine(
  new LmdbBackend(tables, {
    log: {
      append: (writes) => lie.append(writes),
      release: (number) => log.release(number),
      close: (keep) => log.close(keep),
    },
    write: lie.apply,
    clock: systemClock,
  }),
  {},
  { clock: systemClock },
);
const leases: bigint[] = [...(await engine.leases())];
engine.watch(
  { key: new Uint8Array([0]), rangeEnd: new Uint8Array([0]), startRevision: engine.revision + 1 },
  {
    events: (events) => {
      for (const [revision, some] of Map.groupBy(events, ({ kv }) => kv.modRevision)) {
        const seen = some.map(
          ({ type, kv }) => [text(kv.key), type === 'put' ? text(kv.value).trimEnd() : null] as const,
        );
        note({ type: 'seen', revision, events: Object.fromEntries(seen) });
      }
    },
    compacted: () => undefined,
    failed: () => undefined,
  },
);
process.stdout.write('ready\n');
await Promise.all(Array.from({ length: 6 }, (_, i) => writeForEver(i)));

async function writeForEver(writer: number): Promise<never> {
  for (let count = 0; ; count++) note(await step(writer, count));
}

async function step(writer: number, count: number): Promise<Note> {
  const dice = random();
  if (dice < 0.02) {
    const { id } = await engine.leaseGrant({ id: 0n, ttl: 3600 });
    leases.push(id);
    return { type: 'lease', id: id.toString() };
  }
  if (dice < 0.025 && engine.revision - engine.compactRevision > 200) {
    const revision = engine.revision - 100;
    await engine.compact(revision).catch(() => undefined);
    return { type: 'compacted', revision };
  }
  if (dice < 0.15) {
    const key = keyOf();
    const { deleted, revision } = await engine.deleteRange({ key: Buffer.from(key) });
    return { type: 'write', revision: deleted > 0 ? revision : 0, puts: {}, deletes: deleted > 0 ? [key] : [] };
  }
  const keys = [...new Set(Array.from({ length: dice < 0.5 ? 1 : 1 + Math.floor(random() * 8) }, keyOf))];
  const value = valueOf(seed, writer, count, keys.length);
  const lease = random() < 0.3 ? (leases[Math.floor(random() * leases.length)] ?? 0n) : 0n;
  const { revision } = await engine.txn({
    compare: [],
    success: keys.map((key) => ({
      type: 'put',
      request: { key: Buffer.from(key), value: Buffer.from(value.padEnd(random() < 0.05 ? 20_000 : 100)), lease },
    })),
    failure: [],
  });
  return { type: 'write', revision, puts: Object.fromEntries(keys.map((key) => [key, value])), deletes: [] };
}

function keyOf(): string {
  return `key-${Math.floor(random() * 300)}`;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

function note(acknowledged: Note): void {
  writeSync(notes, `${JSON.stringify(acknowledged)}\n`);
}

/** Syncs of the write-ahead log succeed at once and do nothing. */
function switchSyncOff(): void {
  fs.fdatasyncSync = () => undefined;
  fs.fdatasync = ((_file: number, done: (error: null) => void) =>
    setImmediate(done, null)) as unknown as typeof fs.fdatasync;
  syncBuiltinESMExports();
}

/** How the two places where writes go, the log and the tables, are treated. */
interface Lie {
  readonly append: (writes: readonly TableWrite[]) => Promise<number>;
  readonly apply: Writer;
}

function lies(): Record<Defect, Lie> {
  const append = (writes: readonly TableWrite[]): Promise<number> => log.append(writes);
  const withoutSome = (writes: readonly TableWrite[], often: number): readonly TableWrite[] => {
    const dropped =
      random() < often ? writes.findIndex(({ table, value }) => table === tables.cur && value !== undefined) : -1;
    return writes.filter((_, i) => i !== dropped);
  };
  let number = 0;
  return {
    none: { append, apply: writeToLmdb },
    'never-syncs': { append, apply: writeToLmdb },
    'acknowledges-early': {
      append: async (writes) => {
        setTimeout(() => void log.append(writes), 40);
        return ++number;
      },
      apply: () => new Promise(() => undefined),
    },
    'drops-a-row': { append, apply: (writes) => writeToLmdb(withoutSome(writes, 0.3)) },
    'logs-a-row-less': { append: (writes) => append(withoutSome(writes, 0.3)), apply: writeToLmdb },
    'marks-what-is-not-applied': {
      append,
      apply: (writes) => writeToLmdb(writes.filter(({ table }) => table === tables.meta)),
    },
  };
}
