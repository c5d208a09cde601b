import { makeDirectory } from '../runtime/files/index.ts';
import { fields } from '../runtime/log/index.ts';
import { formatHostPort } from '../runtime/options/index.ts';
import { serveHealth } from '../runtime/serve/index.ts';
import { isIp, parseIp } from '../values/ip/index.ts';
import { openDatapath } from '../datapath/index.ts';
import { SyncStore } from '../kvstore/index.ts';
import { reconcileOverlay } from '../tunnel/index.ts';
import { Agent } from './agent.ts';
import { agentMetrics } from './agent-metrics.ts';
import type { AgentDeps, AgentOptions } from './agent-options.ts';
import { overlayDeviceFor } from './overlay.ts';
import { type OwnNodeFacts, readBootId } from './registration/index.ts';

/** Lease of our keys, as in Cilium. */
const defaultLeaseTtlSeconds = 900;

/**
 * One node: registers it and its endpoints in the own cluster's store, follows that store and those of the remote
 * clusters, and keeps the kernel of its namespace as they say. Ends when `signal` aborts; then nothing is withdrawn and
 * the datapath goes on running as it is.
 * @throws what makes it impossible to begin: the kernel's refusals, a socket or state directory that cannot be had.
 */
export async function runAgent(options: AgentOptions, deps: AgentDeps, signal: AbortSignal): Promise<void> {
  const { clock, kernel, metrics } = deps;
  const log = deps.log.child({ [fields.node]: options.nodeName });
  const own = await ownNode(options);
  makeDirectory(options.stateDirectory, 0o700);

  const device = await overlayDeviceFor(kernel.network, own.ip, options.tunnel ?? {}, log);
  const overlay = await reconcileOverlay(kernel.network, device);
  await using datapath = await (deps.openDatapath ?? openDatapath)({
    kernel,
    log,
    pinDirectory: options.pinDirectory,
    overlayLink: overlay.index,
    nodeAddress: own.ip,
    ...(options.cgroup === undefined ? {} : { cgroup: options.cgroup }),
  });
  const syncErrors = metrics.counter({
    name: 'kvstore_sync_errors_total',
    help: 'Writes of own keys that failed and were repeated',
    labels: ['scope', 'source_cluster'],
  });
  await using keys = new SyncStore({
    store: deps.store,
    clock,
    log,
    scope: 'agent',
    leaseTtlSeconds: options.leaseTtlSeconds ?? defaultLeaseTtlSeconds,
    metrics: { error: () => syncErrors.inc({ scope: 'agent', source_cluster: own.cluster }) },
  });

  const agent = new Agent(options, deps, { own, device, datapath, keys, log });
  await agent.restore();
  using _metrics = agentMetrics(metrics, () => agent.status(), datapath, { clock, log });
  await using _api = options.apiSocket === undefined ? undefined : await agent.serveApi(options.apiSocket);
  await using health =
    options.health && (await serveHealth({ ...options.health, metrics, ready: () => agent.readiness() }));
  if (health) log.info('Serving metrics and health', { address: formatHostPort(health.address) });
  deps.started?.(agent);
  await agent.run(signal);
}

async function ownNode(options: AgentOptions): Promise<OwnNodeFacts> {
  if (!isIp(options.nodeIp) || options.nodeIp.includes(':'))
    throw new RangeError(`The node's address must be IPv4, not ${JSON.stringify(options.nodeIp)}`);
  return {
    cluster: options.clusterName,
    clusterId: options.clusterId,
    name: options.nodeName,
    ip: parseIp(options.nodeIp),
    bootId: await readBootId(),
  };
}
