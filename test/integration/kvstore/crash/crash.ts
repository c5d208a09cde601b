import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomFrom } from '../../../unit/kvstore/random.ts';
import { Ledger, readNotes } from './ledger.ts';
import type { Defect } from './protocol.ts';

export interface CrashOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly defect?: Defect;
}

export interface CrashReport {
  readonly violations: readonly string[];
  readonly kills: number;
  readonly acknowledged: number;
  /** Revisions that the watcher was told of. */
  readonly seen: number;
  readonly revision: number;
}

const child = new URL('child.ts', import.meta.url).pathname;

/**
 * Starts a writing process on one store again and again, kills it (SIGKILL) after a time that the seed fixes, opens the
 * store and compares it with what was acknowledged. Ends with the first round that finds something.
 */
export async function crashRepeatedly({ seed, rounds, defect = 'none' }: CrashOptions): Promise<CrashReport> {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-crash-'));
  const store = join(directory, 'store');
  const notes = join(directory, 'acknowledged');
  const random = randomFrom(seed);
  const ledger = new Ledger();
  try {
    for (let round = 0; round < rounds; round++) {
      await killAfter(20 + random() * 280, [store, notes, `${seed * 1000 + round}`, defect]);
      ledger.add(readNotes(notes));
      rmSync(notes, { force: true });
      const violations = (await ledger.compare(store)).map((one) => `seed ${seed}, round ${round}: ${one}`);
      if (violations.length > 0) return { violations, kills: round + 1, ...ledger.counts };
    }
    return { violations: [], kills: rounds, ...ledger.counts };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function killAfter(ms: number, args: readonly string[]): Promise<void> {
  const flags = ['--disable-warning=ExperimentalWarning'];
  const writer = spawn(process.execPath, [...flags, child, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(writer, 'exit');
  try {
    const ready = once(writer.stdout, 'data').then(() => true);
    if (!(await Promise.race([ready, exited.then(() => false)]))) throw new Error('The writing process did not start');
    await sleep(ms);
  } finally {
    writer.kill('SIGKILL');
    await exited;
  }
}
