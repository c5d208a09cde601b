import { isLive, labPaths, readLabState, type LabState } from '../../lab/index.ts';
import { UsageError } from '../../runtime/options/index.ts';
import { ApiError, ApiUnreachableError, type UnixCall, callUnixApi } from '../../runtime/serve/index.ts';

/** The state of a running lab. @throws {UsageError} when there is none of that name. */
export function liveLab(name: string): LabState {
  const state = readLabState(name);
  if (!state || !isLive(state))
    throw new UsageError(`There is no running lab ${name}`, { hint: `bin/isthmus lab up --name ${name}` });
  return state;
}

/** Asks a running lab's control socket. @throws {UsageError} when no such lab runs, or it refuses an argument. */
export async function callLab(name: string, call: UnixCall): Promise<unknown> {
  liveLab(name);
  try {
    return await callUnixApi(labPaths(name).controlSocket, call);
  } catch (error) {
    if (error instanceof ApiUnreachableError)
      throw new Error(`Lab ${name} is still starting, or is just ending`, { cause: error });
    if (error instanceof ApiError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}
