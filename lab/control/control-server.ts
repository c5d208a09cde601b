import type { Socket } from 'node:net';
import type { Logger } from '../../runtime/log/index.ts';
import { ApiError, type ApiHandler, type UnixApiServer, serveUnixApi } from '../../runtime/serve/index.ts';
import type { Lab } from '../lab.ts';
import { LabArgumentError } from '../network/index.ts';
import { processUsage } from '../processes/index.ts';
import { type ClusterReport, clusterReports } from '../report/index.ts';
import { podPath } from '../scheduler/index.ts';
import { labStoreKinds } from '../stores/index.ts';
import type { LabStatus } from './lab-status.ts';

export interface ControlOptions {
  readonly lab: Lab;
  readonly checkPeer?: (socket: Socket) => void;
  readonly log: Logger;
  /** Called when somebody asks the lab to end. */
  readonly onDown: () => void;
}

/** The lab's control socket: what `isthmus lab status|stop|start|cut|heal|down` talk to. */
export function serveControl({ lab, checkPeer, log, onDown }: ControlOptions): Promise<UnixApiServer> {
  return serveUnixApi({
    path: lab.paths.controlSocket,
    log,
    ...(checkPeer ? { checkPeer } : {}),
    routes: {
      'GET /v1/status': ({ signal }) => labStatus(lab, signal),
      'POST /v1/pods/stop': answering(async ({ body }) => {
        const pod = lab.podAt(text(body, 'pod'));
        await lab.stopPod(pod);
        return { pod: podPath(pod), state: lab.stateOf(pod) };
      }),
      'POST /v1/pods/start': answering(async ({ body }) => {
        const pod = lab.podAt(text(body, 'pod'));
        await lab.startPod(pod);
        return { pod: podPath(pod), state: lab.stateOf(pod) };
      }),
      'POST /v1/links/cut': answering(async ({ body }) => {
        await lab.cut(text(body, 'a'), text(body, 'b'));
        return {};
      }),
      'POST /v1/links/heal': answering(async ({ body }) => {
        await lab.heal(text(body, 'a'), text(body, 'b'));
        return {};
      }),
      'POST /v1/stores/switch': answering(async ({ body, signal }) => {
        const to = labStoreKinds.find((kind) => kind === text(body, 'to'));
        if (!to) throw new LabArgumentError(`Expected as to one of ${labStoreKinds.join(', ')}`);
        return await lab.switchStore(text(body, 'cluster'), to, signal);
      }),
      'POST /v1/down': async () => {
        setImmediate(onDown);
        return {};
      },
    },
  });
}

/** Tells what the caller got wrong from what went wrong here. */
function answering(handler: ApiHandler): ApiHandler {
  return async (request) => {
    try {
      return await handler(request);
    } catch (error) {
      if (error instanceof LabArgumentError) throw new ApiError(400, 'ARGUMENT', error.message, { cause: error });
      throw error;
    }
  };
}

async function labStatus(lab: Lab, signal: AbortSignal): Promise<LabStatus> {
  return {
    name: lab.plan.name,
    kernel: lab.substrate.sendsPackets ? 'linux' : 'memory',
    upMs: lab.upMs,
    firstCrossClusterMs: lab.firstCrossClusterMs,
    clusters: (await clusterReports(lab.paths, lab.plan.topology, signal)).map((cluster) => withDead(lab, cluster)),
    cut: lab.cutLinks(),
    pods: lab.plan.pods.map((pod) => ({ path: podPath(pod), node: pod.node, ip: pod.ip, state: lab.stateOf(pod) })),
    processes: [
      { role: 'lab', pid: process.pid, restarts: 0, ...usage(process.pid) },
      ...lab.children().map(({ process: child, restarts }) => ({
        role: child.role,
        pid: child.id.pid,
        restarts,
        ...usage(child.id.pid),
      })),
    ],
  };
}

/** A process that ended and is not started again makes its cluster not ready. */
function withDead(lab: Lab, cluster: ClusterReport): ClusterReport {
  const dead = lab.children().filter(({ process: child }) => child.ended && child.role.startsWith(`${cluster.name}/`));
  const troubles = dead.map(({ process: child }) => `${child.role} ended`);
  if (troubles.length === 0) return cluster;
  return { ...cluster, state: [...(cluster.state === 'ready' ? [] : [cluster.state]), ...troubles].join('; ') };
}

function usage(pid: number): { rssBytes: number; pssBytes: number; cpuMs: number } {
  return processUsage(pid) ?? { rssBytes: 0, pssBytes: 0, cpuMs: 0 };
}

function text(body: unknown, member: string): string {
  const value = typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[member] : undefined;
  if (typeof value !== 'string' || value === '') throw new LabArgumentError(`Expected a text as ${member}`);
  return value;
}
