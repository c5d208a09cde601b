import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Ledger, readNotes } from '../integration/kvstore/crash/ledger.ts';
import type { Defect } from '../integration/kvstore/crash/protocol.ts';
import { randomFrom } from '../unit/kvstore/random.ts';
import { type Guest, startGuest } from './boot.ts';
import { serveNbd } from './disk/nbd-server.ts';
import { VolatileDisk } from './disk/volatile-disk.ts';

const run = promisify(execFile);

export interface PowerCutOptions {
  readonly seed: number;
  readonly cuts: number;
  /** A small disk has little room for a store: then nothing goes by its log. */
  readonly diskMiB?: number;
  readonly defect?: Defect;
  /** The disk answers flushes and does nothing. */
  readonly diskIgnoresFlushes?: boolean;
  readonly print?: (line: string) => void;
}

export interface PowerCutReport {
  readonly violations: readonly string[];
  readonly cuts: number;
  readonly acknowledged: number;
  readonly seen: number;
  readonly revision: number;
  /** Sectors that no flush had followed when the power went, over all cuts. */
  readonly lostSectors: number;
}

const writer = 'test/integration/kvstore/crash/child.ts';
/** An emulated machine on a busy one takes long to start. */
const startMs = 180_000;

/**
 * A store writes on a disk of its own in a guest, whose power is cut at a moment that the seed fixes: QEMU is killed, and
 * the disk forgets what no flush followed (every third time only some of it). What is then on the disk is compared with
 * what the store had acknowledged and shown; the next guest goes on from there. Ends with the first cut that finds something.
 */
export async function cutRepeatedly(options: PowerCutOptions): Promise<PowerCutReport> {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-power-'));
  const random = randomFrom(options.seed);
  const ledger = new Ledger();
  let lostSectors = 0;
  try {
    const compileCache = await filledCompileCache(directory);
    const disk = new VolatileDisk(await emptyDisk(directory, options.diskMiB ?? 256), {
      ignoresFlushes: options.diskIgnoresFlushes ?? false,
    });
    for (let cut = 0; cut < options.cuts; cut++) {
      const afterMs = Math.round(300 + random() * 3500);
      const round = { seed: options.seed * 1000 + cut, defect: options.defect ?? 'none', afterMs, compileCache };
      const { notes, kept, lost } = await writeUntilCut(disk, join(directory, 'disk.sock'), {
        ...round,
        // Every third time also what no flush followed may have got there, in any order.
        keeps: cut % 3 === 2 ? () => random() < 0.5 : () => false,
      });
      ledger.add(notes);
      lostSectors += lost;
      const found = await compare(ledger, disk, directory);
      const { acknowledged, seen, revision } = ledger.counts;
      options.print?.(
        `cut ${cut} after ${afterMs} ms: ${lost} sectors lost, ${kept} kept; ${acknowledged} answers, ${seen} seen, revision ${revision}`,
      );
      const violations = found.map((one) => `seed ${options.seed}, cut ${cut}: ${one}`);
      if (violations.length > 0) return { violations, cuts: cut + 1, lostSectors, ...ledger.counts };
    }
    return { violations: [], cuts: options.cuts, lostSectors, ...ledger.counts };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function writeUntilCut(
  disk: VolatileDisk,
  socket: string,
  round: {
    readonly seed: number;
    readonly defect: Defect;
    readonly afterMs: number;
    readonly compileCache: string;
    readonly keeps: () => boolean;
  },
): Promise<{ readonly notes: ReturnType<typeof readNotes>; readonly kept: number; readonly lost: number }> {
  await using server = await serveNbd(disk, socket);
  await using guest = await startGuest({
    script: writer,
    args: ['/run/disk/store', '/run/out/notes', String(round.seed), round.defect],
    for: 'disk',
    memoryMiB: 768,
    processors: 1,
    disk: socket,
    compileCache: round.compileCache,
    timeoutMs: startMs + round.afterMs + 60_000,
  });
  await ready(guest);
  await sleep(round.afterMs);
  // In the middle of writing: a moment later some of it would be flushed.
  while (disk.unflushed === 0 && !guest.over) await sleep(1);
  if (guest.over) throw new Error(`The guest ended before its power was cut:\n${describe(guest)}`);
  server.freeze();
  const lost = disk.cutPower(round.keeps);
  await guest.kill();
  return { notes: readNotes(join(guest.directory, 'notes')), ...lost };
}

async function ready(guest: Guest): Promise<void> {
  for (const deadline = performance.now() + startMs; !guest.read('output').includes('ready'); await sleep(20))
    if (guest.over || guest.read('code') !== '' || performance.now() > deadline)
      throw new Error(`The store in the guest did not start:\n${describe(guest)}`);
}

function describe(guest: Guest): string {
  const { output, errors, console } = guest.run;
  return [output, errors, console].join('\n');
}

/** The writer runs once on this machine, so that the guest finds its modules compiled. */
async function filledCompileCache(directory: string): Promise<string> {
  const cache = join(directory, 'compiled');
  const flags = [
    '--disable-warning=ExperimentalWarning',
    '--import',
    "data:text/javascript,process.on('SIGTERM', () => process.exit())",
  ];
  const child = spawn(process.execPath, [...flags, writer, join(directory, 'warm'), join(directory, 'warm-notes')], {
    cwd: join(import.meta.dirname, '..', '..'),
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  child.kill('SIGTERM');
  if (child.exitCode === null) await once(child, 'close');
  return cache;
}

async function emptyDisk(directory: string, mebibytes: number): Promise<Buffer> {
  const path = join(directory, 'empty');
  const file = openSync(path, 'w', 0o600);
  ftruncateSync(file, mebibytes * 1024 ** 2);
  closeSync(file);
  // Without checksums in its journal: the disk keeps single sectors, so that of the eight of a commit block some may be old,
  // and ext4 then refuses to mount instead of ending its replay there. It does without, as the first sector says it all.
  await run('mkfs.ext4', ['-q', '-F', '-O', '^metadata_csum', path]);
  return readFileSync(path);
}

/** The store as it lies on the disk; what its file system has in its journal is taken from there, as a mount would. */
async function compare(ledger: Ledger, disk: VolatileDisk, directory: string): Promise<readonly string[]> {
  const image = join(directory, 'image');
  const copy = join(directory, 'copy');
  writeFileSync(image, disk.content, { mode: 0o600 });
  try {
    await run('e2fsck', ['-y', '-E', 'journal_only', image]);
    mkdirSync(copy);
    await run('debugfs', ['-R', `rdump /store ${copy}`, image]);
    return await ledger.compare(join(copy, 'store'));
  } catch (error) {
    return [`the store cannot be read any more: ${error instanceof Error ? error.message : String(error)}`];
  } finally {
    for (const path of [image, copy]) rmSync(path, { recursive: true, force: true });
  }
}
