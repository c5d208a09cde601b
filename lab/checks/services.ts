import type { ServiceReport } from '../report/index.ts';
import type { PlacedPod } from '../scheduler/index.ts';
import type { LabSubstrate } from '../substrate/index.ts';
import { type ServiceTarget, clientFor } from './service-targets.ts';
import { roundsOf } from './rounds.ts';
import { type SurveyedService, unasked } from './survey.ts';

const requestsPerClient = 40;
const ratePerSecond = 200;
const timeoutMs = 3000;
/** Services that are called at the same time: more would measure how much a small machine can do at a time. */
const servicesAtATime = 16;

/**
 * Calls every Service by its ClusterIP, out of one pod of each cluster in which it has a backend to answer, and says who
 * answered; of one that cannot be called, why.
 */
export async function checkServices(
  substrate: LabSubstrate,
  services: readonly SurveyedService[],
  pods: readonly PlacedPod[],
): Promise<ServiceReport[]> {
  const reports: ServiceReport[] = [];
  for (const round of roundsOf(services, servicesAtATime)) {
    const asked = round.map(async (service) =>
      'target' in service
        ? await checkService(substrate, service, service.target, pods)
        : unasked(service, service.notAsked),
    );
    reports.push(...(await Promise.all(asked)));
  }
  return reports;
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
  return {
    namespace,
    name,
    global,
    backends,
    requests: sum(results.map((result) => result.requests)),
    failed: sum(results.map((result) => result.failed)),
    answeredBy: total(results.map((result) => result.answeredBy)),
    errors: total(results.map((result) => result.errors)),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** The sum of each member. */
function total(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const all: Record<string, number> = {};
  for (const [name, count] of counts.flatMap((one) => Object.entries(one))) all[name] = (all[name] ?? 0) + count;
  return all;
}
