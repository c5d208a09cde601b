import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { whileLocked } from '../../../../clustermesh/peers/folder/lock.ts';
import { systemClock as clock } from '../../../../runtime/clock/index.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-lock-'));
  file = join(folder, '..lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the lock of a folder', () => {
  test('that a process left behind when it was killed goes to one of those who wait, at a time', async () => {
    for (let round = 0; round < 8; round++) {
      writeFileSync(file, '');
      utimesSync(file, 0, 0);
      let inside = 0;
      let most = 0;
      const run = async (): Promise<void> => {
        most = Math.max(most, ++inside);
        for (let i = 0; i < 5; i++) await turn();
        inside--;
      };
      await Promise.all(Array.from({ length: 4 }, () => whileLocked(file, clock, run)));
      expect(most).toBe(1);
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  test('that was taken from one who stood still is not given back by him', async () => {
    await whileLocked(file, clock, () => {
      // Somebody else has found it abandoned, and holds it now.
      rmSync(file);
      writeFileSync(file, 'somebody else');
      return Promise.resolve();
    });
    expect(readdirSync(folder)).toEqual(['..lock']);
  });
});
