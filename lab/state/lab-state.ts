import { lstatSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { labPaths, labsRoot } from './lab-directory.ts';
import { ForeignDirectoryError } from './private-directory.ts';
import { type ProcessId, isAlive } from './process-id.ts';

/**
 * What a lab has made on this machine. It is written before a thing is made, so that cleaning after a crash knows all of
 * it; cleaning removes only what stands here.
 */
export interface LabState {
  readonly version: 1;
  readonly name: string;
  readonly kernel: 'linux' | 'memory';
  readonly supervisor: ProcessId;
  readonly startedAt: string;
  /** True once every agent was ready. */
  readonly ready: boolean;
  readonly clusters: readonly { readonly name: string; readonly id: number; readonly nodes: readonly string[] }[];
  readonly children: readonly ChildRecord[];
  readonly namespaces: readonly string[];
  readonly cgroups: readonly string[];
  readonly bpffs: readonly string[];
  readonly directories: readonly string[];
  readonly pods: readonly PodRecord[];
}

export interface ChildRecord extends ProcessId {
  /** `east/apiserver`, `east/node-1/agent`, `east/node-1/pods`. */
  readonly role: string;
}

/** Where a pod is found by `lab exec`. */
export interface PodRecord {
  readonly path: string;
  readonly netns: string;
  readonly cgroup: string;
  readonly ip: string;
}

export async function writeLabState(state: LabState): Promise<void> {
  const { stateFile } = labPaths(state.name);
  await mkdir(dirname(stateFile), { recursive: true, mode: 0o700 });
  writeLabStateSync(state);
}

/** Replaces the state file in one step; synchronous, so that a child is on record before anything else happens. */
export function writeLabStateSync(state: LabState): void {
  const { stateFile } = labPaths(state.name);
  writeFileSync(`${stateFile}.new`, `${JSON.stringify(state, null, 1)}\n`, { mode: 0o600 });
  renameSync(`${stateFile}.new`, stateFile);
}

/** The state of a lab, or undefined when there is none of that name. @throws {Error} when the file is damaged. */
export function readLabState(name: string): LabState | undefined {
  return readStateFile(labPaths(name).stateFile);
}

/** @see readLabState */
export function readStateFile(stateFile: string): LabState | undefined {
  let text: string;
  try {
    if (lstatSync(stateFile).uid !== (process.getuid?.() ?? lstatSync(stateFile).uid))
      throw new ForeignDirectoryError(dirname(stateFile));
    text = readFileSync(stateFile, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as LabState;
  } catch (error) {
    throw new Error(`State file ${stateFile} is damaged; remove the lab's directory by hand`, { cause: error });
  }
}

/** Names of labs that left a directory, alive or dead. */
export async function labNames(): Promise<string[]> {
  try {
    return (await readdir(labsRoot())).toSorted();
  } catch {
    return [];
  }
}

export function isLive(state: LabState): boolean {
  return isAlive(state.supervisor);
}
