import type { ServiceReport } from '../report/index.ts';
import type { PlacedPod } from '../scheduler/index.ts';
import type { LabSubstrate } from '../substrate/index.ts';
import { type ServiceTarget, clientFor } from './service-targets.ts';
import { type SurveyedService, unasked } from './survey.ts';

const requestsPerClient = 40;
const ratePerSecond = 200;
const timeoutMs = 3000;

/**
 * Calls every Service by its ClusterIP, out of one pod of each cluster it stands in, and says who answered; of one that
 * cannot be called, why.
 */
export async function checkServices(
  substrate: LabSubstrate,
  services: readonly SurveyedService[],
  pods: readonly PlacedPod[],
): Promise<ServiceReport[]> {
  return Promise.all(
    services.map(async (service) =>
      'target' in service
        ? await checkService(substrate, service, service.target, pods)
        : unasked(service, service.notAsked),
    ),
  );
}

async function checkService(
  substrate: LabSubstrate,
  { namespace, name, global, backends }: SurveyedService,
  target: ServiceTarget,
  pods: readonly PlacedPod[],
): Promise<ServiceReport> {
  const { port, protocol } = target;
  const results = await Promise.all(
    [...target.addresses].flatMap(([cluster, address]) => {
      const client = clientFor(target, cluster, pods);
      return client
        ? [substrate.load(client, { address, port, protocol, requests: requestsPerClient, ratePerSecond, timeoutMs })]
        : [];
    }),
  );
  const answeredBy: Record<string, number> = {};
  for (const result of results) {
    for (const [pod, count] of Object.entries(result.answeredBy)) answeredBy[pod] = (answeredBy[pod] ?? 0) + count;
  }
  return {
    namespace,
    name,
    global,
    backends,
    requests: sum(results.map((result) => result.requests)),
    failed: sum(results.map((result) => result.failed)),
    answeredBy,
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
