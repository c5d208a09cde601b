import { setTimeout as sleep } from 'node:timers/promises';
import type { FailoverReport } from '../report/index.ts';
import type { PlacedPod } from '../scheduler/index.ts';
import type { LabSubstrate } from '../substrate/index.ts';
import { type ServiceTarget, clientFor } from './service-targets.ts';

const requests = 1000;
const ratePerSecond = 250;
const timeoutMs = 3000;
/** The backends are stopped this long after the first request. */
const stopAfterMs = 800;

/** What the check needs to stop and start pods. */
export interface PodControl {
  stopPod(pod: PlacedPod): Promise<void>;
  startPod(pod: PlacedPod): Promise<void>;
}

/**
 * For each global Service with backends in several clusters: calls it without pause out of the first of these clusters
 * while all backends there are stopped in an orderly way, then starts them again. All Services at the same time.
 */
export async function checkFailover(
  substrate: LabSubstrate,
  control: PodControl,
  targets: readonly ServiceTarget[],
  pods: readonly PlacedPod[],
): Promise<FailoverReport[]> {
  const chosen = targets.flatMap((target) => {
    const spread = [...new Set(target.backends.map((pod) => pod.cluster))];
    const [stopped] = spread;
    const address = stopped && target.addresses.get(stopped);
    return target.global && spread.length > 1 && stopped && address ? [{ target, stopped, address }] : [];
  });
  const stopping = new Set(
    chosen.flatMap(({ target, stopped }) => target.backends.filter((pod) => pod.cluster === stopped)),
  );
  const running = chosen.flatMap(({ target, stopped, address }) => {
    const client = clientFor(target, stopped, pods, stopping);
    if (!client) return [];
    const { port, protocol } = target;
    return [
      substrate.load(client, { address, port, protocol, requests, ratePerSecond, timeoutMs }).then((result) => ({
        service: `${target.namespace}/${target.name}`,
        stopped,
        requests: result.requests,
        failed: result.failed,
        blackoutMs: Math.round(result.longestGapMs * 10) / 10,
        answeredBy: result.answeredBy,
        errors: result.errors,
      })),
    ];
  });
  const reports = Promise.all(running);
  reports.catch(() => undefined);
  await sleep(stopAfterMs);
  await Promise.all([...stopping].map((pod) => control.stopPod(pod)));
  const results = await reports;
  await Promise.all([...stopping].map((pod) => control.startPod(pod)));
  return results;
}
