import { type LabReport, isHealthy } from './report.ts';
import { textTable } from './text-table.ts';

/** More failures than this are only counted. */
const shownFailures = 20;

/** The report as a person reads it. */
export function reportText(report: LabReport): string {
  const { connectivity, services, failover, timings } = report;
  const sections = [
    textTable(
      ['CLUSTER', 'ID', 'NODES', 'ENDPOINTS', 'IDENTITIES', 'SERVICES', 'HEARTBEAT', 'STATE'],
      report.clusters.map((c) => [
        c.name,
        c.id,
        c.nodes,
        c.endpoints,
        c.identities,
        c.services,
        heartbeatText(c.heartbeatAgeSeconds),
        c.state,
      ]),
    ),
    ...(report.kernel === 'memory'
      ? ['No packet was sent: the agents drive an in-memory kernel (--kernel memory).']
      : trafficSections(report)),
    `mesh up in ${seconds(timings.upMs)}${timings.firstCrossClusterMs === null ? '' : `, first answer across clusters after ${seconds(timings.firstCrossClusterMs)}`}${timings.downMs > 0 ? `, down in ${seconds(timings.downMs)}` : ''}`,
    ...connectivity.failed
      .slice(0, shownFailures)
      .map((failure) => `FAILED ${failure.from} → ${failure.to}: ${failure.error}`),
    ...(connectivity.failed.length > shownFailures ? [`… and ${connectivity.failed.length - shownFailures} more`] : []),
    ...services
      .filter(({ failed }) => failed > 0)
      .map((s) => `FAILED ${s.namespace}/${s.name}: ${s.failed} of ${s.requests} requests (${countsText(s.errors)})`),
    ...failover
      .filter(({ failed }) => failed > 0)
      .map((f) => `FAILED failover of ${f.service}: ${f.failed} of ${f.requests} requests (${countsText(f.errors)})`),
    ...report.warnings.map((warning) => `note: ${warning}`),
    ...report.problems.map((problem) => `PROBLEM ${problem}`),
    isHealthy(report) ? 'All is well.' : 'Something is wrong.',
  ];
  return `${sections.join('\n\n').replaceAll(/\n\n(FAILED|note:|PROBLEM|…)/g, '\n$1')}\n`;
}

function trafficSections({ connectivity, services, failover }: LabReport): string[] {
  return [
    `connectivity: ${connectivity.ok} of ${connectivity.pairs} pairs of pods answer; packets with pod addresses on the router: ${connectivity.strayPackets}`,
    textTable(
      ['SERVICE', 'GLOBAL', 'BACKENDS', 'REQUESTS', 'FAILED', 'ANSWERED BY'],
      services.map((s) => [
        `${s.namespace}/${s.name}`,
        s.global ? 'yes' : 'no',
        countsText(s.backends),
        s.requests,
        s.failed,
        s.notAsked === undefined ? answersText(s.answeredBy) : `not asked: ${s.notAsked}`,
      ]),
    ),
    ...(failover.length === 0
      ? []
      : [
          textTable(
            ['FAILOVER', 'STOPPED IN', 'REQUESTS', 'FAILED', 'LONGEST SILENCE'],
            failover.map((f) => [f.service, f.stopped, f.requests, f.failed, `${f.blackoutMs.toFixed(0)} ms`]),
          ),
        ]),
  ];
}

/** Answers per cluster, since pod names are long. */
function answersText(answeredBy: Readonly<Record<string, number>>): string {
  const perCluster: Record<string, number> = {};
  for (const [pod, count] of Object.entries(answeredBy)) {
    const cluster = pod.split('/')[0] ?? '';
    perCluster[cluster] = (perCluster[cluster] ?? 0) + count;
  }
  return countsText(perCluster);
}

function countsText(counts: Readonly<Record<string, number>>): string {
  return (
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || '–'
  );
}

export function heartbeatText(ageSeconds: number): string {
  return ageSeconds < 0 ? '–' : `${ageSeconds.toFixed(0)} s ago`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
