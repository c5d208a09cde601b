import { readableMaps } from '../../datapath/index.ts';
import { callUnixApi, hangsAfterMs } from '../../runtime/serve/index.ts';
import type { Lab } from '../lab.ts';
import { nodePaths } from '../state/index.ts';

/** Kernel state of every node, as `ip`, `bridge` and map lines. */
export async function kernelLinesOf(lab: Lab): Promise<string[]> {
  const parts = await Promise.all(nodesOf(lab).map(({ cluster, node }) => linesOf(lab, cluster, node)));
  return parts.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines]));
}

/** Kernel state of the first node: more has no room on a screen. */
export async function firstKernelLinesOf(lab: Lab): Promise<string[]> {
  const [first] = nodesOf(lab);
  return first ? await linesOf(lab, first.cluster, first.node) : [];
}

function nodesOf(lab: Lab): { readonly cluster: string; readonly node: string }[] {
  return lab.plan.network.sites.flatMap(({ cluster }) =>
    cluster.nodes.map((node) => ({ cluster: cluster.name, node })),
  );
}

async function linesOf(lab: Lab, cluster: string, node: string): Promise<string[]> {
  const socket = nodePaths(lab.paths, cluster, node).apiSocket;
  const answer = await callUnixApi(socket, { route: '/v1/kernel', silenceMs: hangsAfterMs }).catch(() => undefined);
  const text = typeof answer === 'object' && answer !== null && 'text' in answer ? String(answer.text) : '';
  const state = text === '' ? ['its agent does not answer'] : readableMaps(text.trimEnd()).split('\n');
  return [`kernel state of ${cluster}/${node} (in memory: no packet is sent):`, ...state];
}
