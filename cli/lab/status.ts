import type { LabStatus } from '../../lab/index.ts';
import { asTyped, textTable } from '../../lab/index.ts';
import { defineOptions } from '../../runtime/options/index.ts';
import { type ExitCode, defineCommand } from '../command.ts';
import { formatJson, outputOptions } from '../output/index.ts';
import { callLab } from './call-lab.ts';
import { nameOption } from './lab-options.ts';

/** `isthmus lab status`: clusters, pods and processes of a running lab. */
export const status = defineCommand({
  description:
    'Shows clusters, links that are cut, pods, and memory and CPU time of every process. Exit code 1 when a cluster is not\nready, for example because an agent cannot reach its store.',
  options: defineOptions({ ...nameOption, ...outputOptions }),
  ends: true,
  async run(context, { options }): Promise<ExitCode> {
    const found = (await callLab(options.name, { route: '/v1/status', signal: context.signal })) as LabStatus;
    context.stdout(options.output === 'json' ? formatJson(found) : statusText(found));
    return found.upMs >= 0 && found.clusters.every((cluster) => cluster.state === 'ready') ? 0 : 1;
  },
});

function statusText(found: LabStatus): string {
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  return (
    [
      `Lab ${found.name} (${found.kernel} kernel): ${found.upMs < 0 ? 'starting' : `up after ${(found.upMs / 1000).toFixed(1)} s`}`,
      textTable(
        ['CLUSTER', 'NODES', 'ENDPOINTS', 'IDENTITIES', 'SERVICES', 'STATE'],
        found.clusters.map((c) => [c.name, c.nodes, c.endpoints, c.identities, c.services, c.state]),
      ),
      ...(found.cut.length === 0
        ? []
        : [found.cut.map(({ a, b }) => `CUT  ${a} ✗ ${b}  (${asTyped(`lab heal ${a} ${b}`, found.name)})`).join('\n')]),
      textTable(
        ['POD', 'NODE', 'IP', 'STATE'],
        found.pods.map((pod) => [pod.path, pod.node, pod.ip, pod.state]),
      ),
      textTable(
        ['PROCESS', 'PID', 'RSS MiB', 'PSS MiB', 'CPU s', 'RESTARTS'],
        found.processes.map((p) => [
          p.role,
          p.pid,
          mebibytes(p.rssBytes),
          mebibytes(p.pssBytes),
          (p.cpuMs / 1000).toFixed(2),
          p.restarts,
        ]),
      ),
      '',
    ]
      .join('\n\n')
      .trimEnd() + '\n'
  );
}
