import { describe, expect, test } from '@jest/globals';
import { type Group, GroupCommit } from '../../../../kvstore/embedded/group-commit.ts';
import type { Table, TableWrite } from '../../../../kvstore/embedded/table-types.ts';

const table = {} as Table;
const write = (name: string): TableWrite => ({ table, key: Buffer.from(name) });

/** A disk whose commits end when the test says so. */
class Disk {
  readonly commits: { readonly names: string[]; readonly end: PromiseWithResolvers<void> }[] = [];
  readonly committed: string[][] = [];
  failures = 0;
  readonly group = new GroupCommit({
    write: ({ writes }) => {
      const end = Promise.withResolvers<void>();
      this.commits.push({ names: namesOf(writes), end });
      return end.promise;
    },
    seal: (group) => void group.writes.push(write('seal')),
    committed: (group: Group) => void this.committed.push(namesOf(group.writes)),
    failed: () => {
      this.failures++;
      return new Error('The disk is gone');
    },
  });
}

const namesOf = (writes: readonly TableWrite[]): string[] => writes.map(({ key }) => key.toString());
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('group commit', () => {
  test('a single write is committed at once', async () => {
    const disk = new Disk();
    disk.group.group.writes.push(write('a'));
    const flushed = disk.group.flush();
    await turn();
    expect(disk.commits.map(({ names }) => names)).toEqual([['a', 'seal']]);
    disk.commits[0]?.end.resolve();
    await flushed;
    expect(disk.committed).toEqual([['a', 'seal']]);
  });

  test('what comes during a commit gathers into one group behind it', async () => {
    const disk = new Disk();
    disk.group.group.writes.push(write('a'));
    await turn();
    for (const name of ['b', 'c', 'd']) disk.group.group.writes.push(write(name));
    let done = false;
    const flushed = disk.group.flush().then(() => (done = true));
    disk.commits[0]?.end.resolve();
    await turn();
    expect(done).toBe(false);
    expect(disk.commits.map(({ names }) => names)).toEqual([
      ['a', 'seal'],
      ['b', 'c', 'd', 'seal'],
    ]);
    disk.commits[1]?.end.resolve();
    await flushed;
  });

  test('a flush with nothing to write settles at once', async () => {
    await new Disk().group.flush();
  });

  test('a failed commit takes what was built on it along, and later writes pass', async () => {
    const disk = new Disk();
    disk.group.group.writes.push(write('a'));
    const first = disk.group.flush();
    await turn();
    disk.group.group.writes.push(write('b'));
    const second = disk.group.flush();
    disk.commits[0]?.end.reject(new Error('EIO'));
    await expect(first).rejects.toThrow('The disk is gone');
    await expect(second).rejects.toThrow('The disk is gone');
    expect(disk.failures).toBe(1);
    disk.group.group.writes.push(write('c'));
    const third = disk.group.flush();
    await turn();
    disk.commits[1]?.end.resolve();
    await third;
    expect(disk.committed).toEqual([['c', 'seal']]);
  });
});
