import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { type NamespaceHandle, openNamespace } from '../../kernel/index.ts';
import { runLoad } from './load.ts';
import { type Clock, systemClock } from '../../runtime/clock/index.ts';
import { LastRequest } from './last-request.ts';
import type { HostedPod, PodOrder, PodReply, ProbeResult, ProbeTarget } from './messages.ts';
import { request } from './pod-client.ts';
import { type PodServer, servePort } from './pod-server.ts';

/** Probes under way at a time, over all pods of this host. */
const probesAtATime = 32;

interface Running {
  readonly pod: HostedPod;
  readonly netns: NamespaceHandle;
  readonly servers: readonly PodServer[];
  readonly lastRequest: LastRequest;
}

/**
 * Holds the servers and clients of all pods of one node: one process, because a process a pod is too much for a small
 * machine. Each socket is made inside its pod's network namespace. Orders come as lines of JSON, replies go out likewise.
 */
export class PodHost {
  readonly #running = new Map<string, Running>();
  /** Starting and stopping one after the other; whoever needs a pod waits for what was ordered before. */
  #changes: Promise<void> = Promise.resolve();
  readonly #clock: Clock;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Carries out orders until the input ends. */
  async run(input: Readable, output: Writable): Promise<void> {
    const pending = new Set<Promise<void>>();
    for await (const line of createInterface({ input })) {
      const { id, order } = JSON.parse(line) as { id: number; order: PodOrder };
      const task = this.#answer(id, order, output).finally(() => pending.delete(task));
      pending.add(task);
    }
    for (const path of this.#running.keys()) this.#stop(path);
  }

  async #answer(id: number, order: PodOrder, output: Writable): Promise<void> {
    try {
      output.write(`${JSON.stringify({ id, reply: await this.#carryOut(order) })}\n`);
    } catch (error) {
      output.write(`${JSON.stringify({ id, error: error instanceof Error ? error.message : String(error) })}\n`);
    }
  }

  async #carryOut(order: PodOrder): Promise<PodReply> {
    switch (order.op) {
      case 'start':
        await this.#change(async () => {
          for (const pod of order.pods) await this.#start(pod);
        });
        return { op: 'start' };
      case 'stop':
        // The rest of the pod's grace period; whatever else is ordered meanwhile is done.
        await this.#running.get(order.path)?.lastRequest.untilQuiet();
        await this.#change(async () => this.#stop(order.path));
        return { op: 'stop' };
      case 'probe':
        await this.#changes;
        return { op: 'probe', results: await this.#probe(order.from, order.targets, order.timeoutMs) };
      case 'load':
        await this.#changes;
        return { op: 'load', result: await runLoad(this.#namespaceOf(order.load.from), order.load) };
    }
  }

  #change(run: () => Promise<void>): Promise<void> {
    const done = this.#changes.then(run);
    this.#changes = done.catch(() => undefined);
    return done;
  }

  async #start(pod: HostedPod): Promise<void> {
    const path = `${pod.cluster}/${pod.namespace}/${pod.name}`;
    this.#stop(path);
    const netns = openNamespace(pod.netns);
    const servers: PodServer[] = [];
    const lastRequest = new LastRequest(this.#clock);
    for (const port of pod.ports) servers.push(await servePort(pod, netns, port, lastRequest.note));
    this.#running.set(path, { pod, netns, servers, lastRequest });
  }

  #stop(path: string): void {
    const running = this.#running.get(path);
    if (!running) return;
    this.#running.delete(path);
    for (const server of running.servers) server[Symbol.dispose]();
    running.netns[Symbol.dispose]();
  }

  async #probe(from: string, targets: readonly ProbeTarget[], timeoutMs: number): Promise<ProbeResult[]> {
    const netns = this.#namespaceOf(from);
    const client = this.#running.get(from)?.pod.ip;
    const results: ProbeResult[] = [];
    const waiting = [...targets];
    const worker = async (): Promise<void> => {
      for (let target = waiting.shift(); target; target = waiting.shift()) {
        const error = await probe(netns, target, client, timeoutMs);
        results.push({ from, to: target.to, ...(error ? { error } : {}) });
      }
    };
    await Promise.all(Array.from({ length: probesAtATime }, worker));
    return results;
  }

  #namespaceOf(path: string): NamespaceHandle {
    const running = this.#running.get(path);
    if (!running) throw new Error(`Pod ${path} does not run here`);
    return running.netns;
  }
}

async function probe(
  netns: NamespaceHandle,
  target: ProbeTarget,
  client: string | undefined,
  timeoutMs: number,
): Promise<string | undefined> {
  try {
    const said = await request(netns, { address: target.address, port: target.port, protocol: 'TCP' }, timeoutMs);
    const who = `${said.cluster}/${said.namespace}/${said.pod}`;
    if (who !== target.to) return `answered by ${who}`;
    return said.sawClient === client ? undefined : `server saw ${said.sawClient} instead of ${client ?? 'nothing'}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
