import { setTimeout as sleep } from 'node:timers/promises';
import { checkConnectivity, checkServices, serviceTargets, surveyServices } from '../checks/index.ts';
import { asTyped } from '../as-typed.ts';
import type { Lab } from '../lab.ts';
import { clusterReports } from '../report/index.ts';
import { podPath } from '../scheduler/index.ts';
import { firstKernelLinesOf } from './kernel-lines.ts';
import { type ScreenModel, renderScreen } from './render.ts';

const refreshMs = 1000;
const clearScreen = '\u001B[2J';
const home = '\u001B[H';
const clearLine = '\u001B[K';
const clearBelow = '\u001B[J';

/** Repaints the terminal about once a second until `signal` aborts. */
export async function runLiveScreen(lab: Lab, terminal: NodeJS.WriteStream, signal: AbortSignal): Promise<void> {
  terminal.write(clearScreen);
  while (!signal.aborted) {
    const model = await measure(lab, signal);
    if (signal.aborted) break;
    const lines = renderScreen(model, terminal.columns || 80, (terminal.rows || 24) - 1);
    terminal.write(`${home}${lines.map((line) => `${line}${clearLine}\n`).join('')}${clearBelow}`);
    await sleep(refreshMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Three things to try, as typed in the checkout; what was done already is offered to be undone. */
export function commandsToTry(lab: Lab): string[] {
  const { name } = lab.plan;
  const [a, b] = lab.plan.topology.clusters;
  const targets = serviceTargets(lab.plan.services, lab.plan.pods);
  const shared = targets.find((target) => target.global && new Set(target.backends.map((pod) => pod.cluster)).size > 1);
  const victim = shared?.backends[0] ?? lab.plan.pods[0];
  const isCut = lab.cutLinks().some((link) => link.a === a?.name && link.b === b?.name);
  return [
    ...(victim
      ? [asTyped(`lab ${lab.stateOf(victim) === 'stopped' ? 'start' : 'stop'} ${podPath(victim)}`, name)]
      : []),
    // Without packets there is no link to cut.
    ...(a && b && lab.substrate.sendsPackets
      ? [asTyped(`lab ${isCut ? 'heal' : 'cut'} ${a.name} ${b.name}`, name)]
      : [asTyped('lab status', name)]),
    asTyped('get ips', name),
  ];
}

async function measure(lab: Lab, signal: AbortSignal): Promise<ScreenModel> {
  const { plan, substrate } = lab;
  const running = lab.runningPods();
  const names = plan.topology.clusters.map((cluster) => cluster.name);
  const [clusters, connectivity, services, kernelLines] = await Promise.all([
    clusterReports(lab.paths, plan.topology, signal),
    substrate.sendsPackets ? checkConnectivity(substrate, running).catch(() => undefined) : undefined,
    substrate.sendsPackets
      ? checkServices(substrate, surveyServices({ ...plan, pods: running, clusters: names }), running).catch(() => [])
      : [],
    substrate.sendsPackets ? [] : firstKernelLinesOf(lab),
  ]);
  return {
    lab: plan.name,
    clusters,
    pods: plan.pods.map((pod) => ({ path: podPath(pod), state: lab.stateOf(pod) })),
    ...(connectivity ? { connectivity } : {}),
    services,
    upMs: lab.upMs,
    firstCrossClusterMs: lab.firstCrossClusterMs,
    sendsPackets: substrate.sendsPackets,
    kernelLines,
    commands: commandsToTry(lab),
  };
}
