import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type LabPaths, type ProcessId, processId, takeOver } from '../../../lab/state/index.ts';

describe('what a dead lab left', () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-take-over-'));
  const directory = join(folder, 'lab');
  const paths: LabPaths = {
    directory,
    stateFile: join(directory, 'state.json'),
    controlSocket: '',
    logFile: '',
    bpffs: '',
  };
  // Whoever has this number next has another start time.
  const dead: ProcessId = { pid: spawnSync('true').pid, startTime: 1 };
  const otherDead: ProcessId = { pid: dead.pid, startTime: 2 };
  const self = processId(process.pid);
  const namespaces = ['isth-lab-router'];

  const write = (file: string, supervisor: ProcessId): void =>
    writeFileSync(file, JSON.stringify({ version: 1, name: 'lab', supervisor, namespaces }));
  const read = (): unknown => JSON.parse(readFileSync(paths.stateFile, 'utf8'));
  const claimAfter = ({ pid, startTime }: ProcessId): string => `${paths.stateFile}.after-${pid}-${startTime}`;

  beforeEach(() => {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('is taken over with all that its state lists, and then is nobody else’s', () => {
    write(paths.stateFile, dead);
    expect(takeOver('lab', paths)).toBe(true);
    expect(read()).toMatchObject({ supervisor: self, namespaces });
    expect(takeOver('lab', paths)).toBe(false);
    expect(read()).toMatchObject({ supervisor: self });
  });

  test('stays with the one who came first, though the state file does not say so yet', () => {
    write(paths.stateFile, dead);
    write(claimAfter(dead), self);
    expect(takeOver('lab', paths)).toBe(false);
    expect(read()).toMatchObject({ supervisor: dead });
    expect(readdirSync(directory)).toHaveLength(2);
  });

  test('has another heir when the first died before the state file said so', () => {
    write(paths.stateFile, dead);
    write(claimAfter(dead), otherDead);
    expect(takeOver('lab', paths)).toBe(true);
    expect(read()).toMatchObject({ supervisor: self, namespaces });
  });

  test('is not taken from a living lab, and is nothing where there is none', () => {
    expect(takeOver('lab', paths)).toBe(false);
    write(paths.stateFile, self);
    expect(takeOver('lab', paths)).toBe(false);
    rmSync(directory, { recursive: true });
    expect(takeOver('lab', paths)).toBe(false);
    expect(existsSync(directory)).toBe(false);
  });
});
