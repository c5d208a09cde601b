import { asTyped, isLive, isLabName, labPaths, readLabState, type LabState } from '../../lab/index.ts';
import { UsageError } from '../../runtime/options/index.ts';
import { ApiError, ApiUnreachableError, type UnixCall, callUnixApi } from '../../runtime/serve/index.ts';

/** The state of a running lab. @throws {UsageError} when there is none of that name, or no lab can have it. */
export function liveLab(name: string): LabState {
  requireLabName(name);
  const state = readLabState(name);
  if (!state || !isLive(state))
    throw new UsageError(`There is no running lab ${name}`, { hint: `start one: ${asTyped('lab up', name)}` });
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
    if (error instanceof ApiError && error.status < 500) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** @throws {UsageError} for what cannot be a lab's name, and so must not become part of a path. */
export function requireLabName(name: string): void {
  if (!isLabName(name))
    throw new UsageError(`Lab name ${JSON.stringify(name)}: expected 1–20 lower-case letters, digits and dashes`, {
      option: '--name',
    });
}
