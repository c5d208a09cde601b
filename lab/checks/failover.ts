import { setTimeout as sleep } from 'node:timers/promises';
import type { FailoverReport } from '../report/index.ts';
import type { PlacedPod } from '../scheduler/index.ts';
import type { LabSubstrate } from '../substrate/index.ts';
import { type FailoverCase, type FailoverRound, planFailover } from './failover-plan.ts';
import type { ServiceTarget } from './service-targets.ts';

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
 * For each shared global Service with backends in several clusters: calls it without pause while all its backends in the
 * first of these clusters are stopped in an orderly way, then starts them again. Several Services at the same time.
 */
export async function checkFailover(
  substrate: LabSubstrate,
  control: PodControl,
  targets: readonly ServiceTarget[],
  pods: readonly PlacedPod[],
  signal: AbortSignal,
): Promise<FailoverReport[]> {
  const reports: FailoverReport[] = [];
  for (const round of planFailover(targets, pods)) {
    signal.throwIfAborted();
    reports.push(...(await failOver(substrate, control, round)));
  }
  return reports;
}

async function failOver(
  substrate: LabSubstrate,
  control: PodControl,
  { cases, stopping }: FailoverRound,
): Promise<FailoverReport[]> {
  const reports = Promise.all(cases.map((one) => call(substrate, one)));
  reports.catch(() => undefined);
  await sleep(stopAfterMs);
  await Promise.all([...stopping].map((pod) => control.stopPod(pod)));
  const results = await reports;
  await Promise.all([...stopping].map((pod) => control.startPod(pod)));
  return results;
}

async function call(
  substrate: LabSubstrate,
  { target, stopped, client, address }: FailoverCase,
): Promise<FailoverReport> {
  const { port, protocol } = target;
  const result = await substrate.load(client, { address, port, protocol, requests, ratePerSecond, timeoutMs });
  return {
    service: `${target.namespace}/${target.name}`,
    stopped,
    requests: result.requests,
    failed: result.failed,
    blackoutMs: Math.round(result.longestGapMs * 10) / 10,
    answeredBy: result.answeredBy,
    errors: result.errors,
  };
}
