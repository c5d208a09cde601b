import { existsSync } from 'node:fs';
import { apiserverPaths, asTyped, isLive, labPaths, nodePaths, readLabState } from '../lab/index.ts';
import { requireLabName } from './lab/call-lab.ts';
import { UsageError, defineOptions } from '../runtime/options/index.ts';

const agentSocket = '/run/isthmus/agent.sock';
const defaultLab = 'default';

/** How a command finds the processes it asks. */
export const targetOptions = defineOptions({
  'api-socket': {
    type: 'list',
    placeholder: 'PATH',
    help: `Control socket of an agent or apiserver, may be repeated; ${agentSocket} unless given, else the lab "${defaultLab}"`,
  },
  name: { type: 'string', placeholder: 'LAB', help: 'Ask every process of this lab' },
});

/** A control socket, and whether an agent or an apiserver is expected behind it. */
export interface Target {
  readonly role: 'agent' | 'apiserver' | 'process';
  readonly socket: string;
}

/** Neither an agent nor a lab is there; one may come. */
export class NobodyToAskError extends UsageError {}

/**
 * Sockets that were given, else those of the lab that was named, else the agent of this machine, else the default lab.
 * @throws {NobodyToAskError}
 */
export function findTargets(values: {
  readonly apiSocket: readonly string[];
  readonly name: string | undefined;
}): Target[] {
  if (values.apiSocket.length > 0) return values.apiSocket.map((socket) => ({ role: 'process', socket }));
  if (values.name !== undefined) {
    requireLabName(values.name);
    const found = labTargets(values.name);
    if (found) return found;
    throw new NobodyToAskError(`There is no running lab ${JSON.stringify(values.name)}`, {
      option: '--name',
      hint: `start one: ${asTyped('lab up', values.name)}`,
    });
  }
  if (existsSync(agentSocket)) return [{ role: 'agent', socket: agentSocket }];
  const found = labTargets(defaultLab);
  if (found) return found;
  throw new NobodyToAskError('There is nobody to ask: no agent runs on this machine, and no lab', {
    hint: `isthmus lab up starts a lab; --api-socket names an agent elsewhere than at ${agentSocket}`,
  });
}

function labTargets(name: string): Target[] | undefined {
  const state = readLabState(name);
  if (!state || !isLive(state)) return undefined;
  const paths = labPaths(name);
  return state.clusters.flatMap((cluster) => [
    { role: 'apiserver' as const, socket: apiserverPaths(paths, cluster.name).apiSocket },
    ...cluster.nodes.map((node) => ({
      role: 'agent' as const,
      socket: nodePaths(paths, cluster.name, node).apiSocket,
    })),
  ]);
}
