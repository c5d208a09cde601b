import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type LabPaths, labPaths } from './lab-directory.ts';
import { type LabState, readStateFile } from './lab-state.ts';
import { type ProcessId, isAlive, processId } from './process-id.ts';

/**
 * Makes what a dead lab left this process's to clean: from then on its state file names this process, so that everybody else
 * takes the lab for a living one. Of several who come at a time one succeeds, and whoever comes with an old state in mind,
 * when a new lab has the name, does not. False: it is somebody else's.
 *
 * A link is made by one process only. It is named after the dead process, so that an heir that dies in turn has heirs, too.
 */
export function takeOver(name: string, paths: LabPaths = labPaths(name)): boolean {
  const state = readStateFile(paths.stateFile);
  if (!state) return false;
  const self = processId(process.pid);
  const will = `${paths.stateFile}.${self.pid}`;
  try {
    writeFileSync(will, `${JSON.stringify({ ...state, supervisor: self }, null, 1)}\n`, { mode: 0o600 });
    const claim = claimAfter(state.supervisor, will, paths);
    if (claim === undefined) return false;
    // The directory may have become another lab's since its state was read.
    if (!isSame(readStateFile(paths.stateFile)?.supervisor, state.supervisor)) {
      rmSync(claim, { force: true });
      return false;
    }
    renameSync(will, paths.stateFile);
    return true;
  } catch (error) {
    // Somebody else has cleaned it all meanwhile.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  } finally {
    rmSync(will, { force: true });
  }
}

/** Links `will` in the name of the last dead one in the row; undefined when somebody in it lives. */
function claimAfter(first: ProcessId, will: string, { stateFile }: LabPaths): string | undefined {
  for (let dead = first; !isAlive(dead);) {
    const claim = `${stateFile}.after-${dead.pid}-${dead.startTime}`;
    try {
      linkSync(will, claim);
      return claim;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      dead = (JSON.parse(readFileSync(claim, 'utf8')) as LabState).supervisor;
    }
  }
  return undefined;
}

function isSame(a: ProcessId | undefined, b: ProcessId): boolean {
  return a?.pid === b.pid && a.startTime === b.startTime;
}
