import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { labsRoot } from './lab-directory.ts';
import type { LabState } from './lab-state.ts';
import { isAlive, signalProcess } from './process-id.ts';

/** The system calls of cleaning, handed in so that a lab without a kernel needs none of them. */
export interface Cleaner {
  deleteNamespace(name: string): boolean;
  removeCgroup(path: string): Promise<unknown>;
  unmountBpffs(directory: string): unknown;
}

/**
 * Removes what a lab left: its processes (by id and start time), bpffs, cgroups, namespaces and files; only what its
 * state file lists. What is gone already is no error.
 */
export async function cleanLab(state: LabState, cleaner: Cleaner | undefined): Promise<void> {
  await endProcesses(state);
  for (const directory of state.bpffs) cleaner?.unmountBpffs(directory);
  for (const cgroup of state.cgroups) await cleaner?.removeCgroup(cgroup);
  for (const namespace of state.namespaces) cleaner?.deleteNamespace(namespace);
  for (const directory of state.directories) {
    if (dirname(directory) === labsRoot()) rmSync(directory, { recursive: true, force: true });
  }
}

async function endProcesses(state: LabState): Promise<void> {
  for (const child of state.children) signalProcess(child, 'SIGTERM');
  for (let waited = 0; waited < 2000 && state.children.some(isAlive); waited += 50) await sleep(50);
  for (const child of state.children) signalProcess(child, 'SIGKILL');
  for (let waited = 0; waited < 2000 && state.children.some(isAlive); waited += 20) await sleep(20);
}
