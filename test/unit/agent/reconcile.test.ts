import { describe, expect, test } from '@jest/globals';
import { GroupSource, ReconcileLoop, TableReconciler, rowSource } from '../../../agent/reconcile/index.ts';
import type { TableChange, TableDriver } from '../../../datapath/index.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';

interface Row {
  readonly key: string;
  readonly value: number;
}

/** A small full table, that a test can make refuse. */
class FakeTable implements TableDriver<Row> {
  readonly rows = new Map<string, number>();
  readonly calls: string[] = [];
  refuses = false;

  keyOf(row: Row): string {
    return row.key;
  }

  async apply({ upsert = [], remove = [] }: Partial<TableChange<Row>>): Promise<void> {
    if (this.refuses) throw new Error('the kernel says no');
    this.calls.push(`+${upsert.map(({ key }) => key).join()} -${remove.join()}`);
    for (const { key, value } of upsert) this.rows.set(key, value);
    for (const key of remove) this.rows.delete(key);
  }

  async audit(desired: Iterable<Row>, { prune }: { readonly prune: boolean }) {
    if (this.refuses) throw new Error('the kernel says no');
    const wanted = new Map([...desired].map(({ key, value }) => [key, value]));
    let written = 0;
    let removed = 0;
    for (const [key, value] of wanted)
      if (this.rows.get(key) !== value) {
        this.rows.set(key, value);
        written++;
      }
    for (const key of this.rows.keys())
      if (prune && !wanted.has(key)) {
        this.rows.delete(key);
        removed++;
      }
    this.calls.push(`audit${prune ? ' and prune' : ''}`);
    return { written, removed, kept: wanted.size - written };
  }
}

function rows(known: Map<string, number>) {
  const clock = new VirtualClock();
  const driver = new FakeTable();
  const source = rowSource<Row>({
    entry: (key) => (known.has(key) ? { key, value: known.get(key) ?? 0 } : undefined),
    keys: () => known.keys(),
  });
  const table = new TableReconciler({ name: 'rows', driver, source, clock, log: silentLogger, random: () => 0 });
  return { clock, driver, table };
}

describe('a table', () => {
  test('is written where it was marked, and nowhere else', async () => {
    const known = new Map([
      ['a', 1],
      ['b', 2],
    ]);
    const { driver, table } = rows(known);
    table.mark('a');
    table.mark('gone');
    await table.reconcile({ prune: false });
    expect(driver.calls).toEqual(['+a -gone']);
    await table.reconcile({ prune: false });
    expect(driver.calls).toHaveLength(1);
    expect(table.status()).toMatchObject({ pending: 0, upserts: 1, removes: 1, audits: 0 });
  });

  test('that could not be written keeps its marks and is written after a pause', async () => {
    const { clock, driver, table } = rows(new Map([['a', 1]]));
    driver.refuses = true;
    table.mark('a');
    await table.reconcile({ prune: false });
    expect(table.status()).toMatchObject({ pending: 1, error: 'the kernel says no' });
    expect(table.retryInMs).toBe(200);
    driver.refuses = false;
    await table.reconcile({ prune: false });
    expect(driver.calls).toEqual([]);
    await clock.advance(200);
    await table.reconcile({ prune: false });
    expect(driver.calls).toEqual(['+a -']);
    expect(table.status().error).toBeUndefined();
    expect(table.retryInMs).toBeUndefined();
  });

  test('that is audited loses what nobody desires only when that is allowed', async () => {
    const { driver, table } = rows(
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
    );
    driver.rows.set('a', 1).set('b', 9).set('old', 3);
    expect(await table.audit({ prune: false })).toBe(true);
    expect(table.status().lastAudit).toMatchObject({ written: 1, removed: 0, kept: 1, pruned: false });
    expect([...driver.rows.keys()].toSorted()).toEqual(['a', 'b', 'old']);
    await table.audit({ prune: true });
    expect(table.status().lastAudit).toMatchObject({ written: 0, removed: 1, kept: 2, pruned: true });
    expect([...driver.rows.keys()].toSorted()).toEqual(['a', 'b']);
  });

  test('of which too much has changed is audited instead', async () => {
    const { driver, table } = rows(new Map([['a', 1]]));
    table.mark('a');
    table.markAll();
    await table.reconcile({ prune: false });
    expect(driver.calls).toEqual(['audit']);
    expect(table.status().pending).toBe(0);
  });
});

describe('groups of rows', () => {
  const open = (known: Map<string, readonly string[]>, held: (group: string) => boolean = () => false) =>
    new GroupSource<Row>({
      entries: (group) => (known.get(group) ?? []).map((key) => ({ key, value: group.length })),
      groups: () => known.keys(),
      keyOf: ({ key }) => key,
      held,
    });
  const keysOf = ({ upsert, remove, later }: ReturnType<GroupSource<Row>['plan']>) => ({
    upsert: upsert.map(({ key, value }) => `${key}=${value}`),
    remove,
    later,
  });

  test('lose the rows that a group no longer has', () => {
    const known = new Map([['web', ['x', 'y']]]);
    const source = open(known);
    expect(keysOf(source.plan(['web']))).toEqual({ upsert: ['x=3', 'y=3'], remove: [], later: [] });
    known.set('web', ['y', 'z']);
    expect(keysOf(source.plan(['web']))).toEqual({ upsert: ['y=3', 'z=3'], remove: ['x'], later: [] });
    known.delete('web');
    expect(keysOf(source.plan(['web']))).toEqual({ upsert: [], remove: ['y', 'z'], later: [] });
  });

  test('that claim one row give it to the first by name, and to the next when it lets go', () => {
    const known = new Map([['bb', ['x']]]);
    const source = open(known);
    source.plan(['bb']);
    known.set('a', ['x']);
    expect(keysOf(source.plan(['a'])).upsert).toEqual(['x=1']);
    expect(keysOf(source.plan(['bb'])).upsert).toEqual(['x=1']);
    expect([...source.all()].map(({ value }) => value)).toEqual([1]);
    known.delete('a');
    expect(keysOf(source.plan(['a']))).toEqual({ upsert: ['x=2'], remove: [], later: [] });
  });

  test('that are held stay marked and are in no listing', () => {
    let held = true;
    const known = new Map([
      ['a', ['x']],
      ['b', ['y']],
    ]);
    const source = open(known, (group) => held && group === 'b');
    expect(keysOf(source.plan(['a', 'b']))).toEqual({ upsert: ['x=1'], remove: [], later: ['b'] });
    expect([...source.all()].map(({ key }) => key)).toEqual(['x']);
    held = false;
    expect(keysOf(source.plan(['b']))).toEqual({ upsert: ['y=1'], remove: [], later: [] });
  });
});

describe('the loop', () => {
  const begin = () => {
    const { clock, driver, table } = rows(new Map([['a', 1]]));
    const marks: string[] = [];
    const loop = new ReconcileLoop({
      tables: [table],
      whole: [],
      collect: () => {
        for (const name of marks.splice(0)) table.mark(name);
      },
      auditMs: 60_000,
      clock,
      log: silentLogger,
    });
    const controller = new AbortController();
    const running = loop.run(controller.signal);
    return {
      clock,
      driver,
      loop,
      marks,
      stop: async () => {
        controller.abort();
        await running;
      },
    };
  };

  test('writes when it is woken, and settles whoever waits for that', async () => {
    const { driver, loop, marks, stop } = begin();
    marks.push('a');
    await loop.settled();
    expect(driver.calls).toEqual(['+a -']);
    await stop();
  });

  test('tells whoever waits that a table could not be written', async () => {
    const { driver, loop, marks, stop } = begin();
    driver.refuses = true;
    marks.push('a');
    await expect(loop.settled()).rejects.toThrow('Cannot write rows: the kernel says no');
    await stop();
  });

  test('repeats a failed write by itself', async () => {
    const { clock, driver, loop, marks, stop } = begin();
    driver.refuses = true;
    marks.push('a');
    await expect(loop.settled()).rejects.toThrow('the kernel says no');
    driver.refuses = false;
    await clock.advance(1000);
    expect(driver.calls).toEqual(['+a -']);
    await stop();
  });

  test('compares everything now and then, and prunes once that is allowed', async () => {
    const { clock, driver, loop, stop } = begin();
    await clock.advance(60_000);
    expect(driver.calls).toEqual(['audit']);
    await loop.prune();
    await clock.advance(60_000);
    expect(driver.calls).toEqual(['audit', 'audit and prune', 'audit and prune']);
    await stop();
  });
});
