import {
  type ClusterReport,
  type ConnectivityReport,
  type ServiceReport,
  heartbeatText,
  textTable,
} from '../report/index.ts';

/** What the live screen shows. */
export interface ScreenModel {
  readonly lab: string;
  readonly clusters: readonly ClusterReport[];
  readonly pods: readonly { readonly path: string; readonly state: string }[];
  readonly connectivity?: ConnectivityReport;
  readonly services: readonly ServiceReport[];
  readonly upMs: number;
  readonly firstCrossClusterMs: number | null;
  readonly sendsPackets: boolean;
  /** Lines that tell what the lab's kernel state is, when no packet is sent. */
  readonly kernelLines: readonly string[];
  /** Commands to try. */
  readonly commands: readonly string[];
}

/** The live screen as lines, none wider than `columns` and no more than `rows`. Pure. */
export function renderScreen(model: ScreenModel, columns: number, rows: number): string[] {
  const head = [
    `isthmus lab ${model.lab}: ${model.clusters.length} clusters, mesh up after ${seconds(model.upMs)}${model.sendsPackets ? `, first answer across clusters after ${seconds(model.firstCrossClusterMs)}` : ', in-memory kernel: no packet is sent'}`,
    '',
    ...table(
      ['CLUSTER', 'STATE', 'HEARTBEAT', 'NODES', 'IDENTITIES', 'IPS', 'SERVICES'],
      model.clusters.map((c) => [
        c.name,
        c.state,
        heartbeatText(c.heartbeatAgeSeconds),
        c.nodes,
        c.identities,
        c.endpoints,
        c.services,
      ]),
    ),
    '',
  ];
  const services = model.services.filter((service) => service.global);
  const answers =
    services.length > 0 ? [...table(['GLOBAL SERVICE', 'FAILED', 'ANSWERED BY'], services.map(serviceRow)), ''] : [];
  const foot = [
    'Try, in another terminal:',
    ...model.commands.map((command) => `  ${command}`),
    'Ctrl-C ends the lab and removes everything it made.',
  ];
  const room = rows - head.length - answers.length - foot.length - 1;
  const middle = model.sendsPackets ? matrixLines(model, columns, room) : model.kernelLines.slice(0, Math.max(0, room));
  const body = [...head, ...middle, ...(middle.length > 0 ? [''] : []), ...answers];
  return [...body.slice(0, Math.max(0, rows - foot.length)), ...foot].slice(-rows).map((line) => fit(line, columns));
}

/** One row and one column a pod; where that does not fit, one row and one column a cluster. */
export function matrixLines(model: ScreenModel, columns: number, rows: number): string[] {
  const { connectivity, pods } = model;
  if (!connectivity) return ['connectivity: being measured …'];
  const title = `connectivity: ${connectivity.ok} of ${connectivity.pairs} pairs answer`;
  const failed = new Set(connectivity.failed.map(({ from, to }) => `${from} ${to}`));
  const width = Math.max(...pods.map((pod) => pod.path.length), 0);
  if (pods.length + 2 <= rows && width + 1 + 2 * pods.length <= columns) {
    const mark = (from: ScreenModel['pods'][number], to: ScreenModel['pods'][number]): string => {
      if (from === to) return '·';
      if (from.state !== 'running' || to.state !== 'running') return ' ';
      return failed.has(`${from.path} ${to.path}`) ? '✗' : '✓';
    };
    return [title, ...pods.map((from) => `${from.path.padEnd(width)} ${pods.map((to) => mark(from, to)).join(' ')}`)];
  }
  const clusters = [...new Set(pods.map((pod) => clusterOf(pod.path)))];
  const cell = (from: string, to: string): string => {
    const count = (cluster: string): number =>
      pods.filter((pod) => pod.state === 'running' && clusterOf(pod.path) === cluster).length;
    const all = from === to ? count(from) * (count(from) - 1) : count(from) * count(to);
    const bad = connectivity.failed.filter((pair) => clusterOf(pair.from) === from && clusterOf(pair.to) === to).length;
    return `${all - bad}/${all}`;
  };
  return [
    `${title} (summarised: the terminal is too small for ${pods.length} pods)`,
    ...table(
      ['FROM \\ TO', ...clusters],
      clusters.map((from) => [from, ...clusters.map((to) => cell(from, to))]),
    ),
  ];
}

function serviceRow(service: ServiceReport): (string | number)[] {
  const answers = Object.entries(service.answeredBy)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([pod, count]) => `${pod} ${count}`);
  return [`${service.namespace}/${service.name}`, service.failed, answers.join(', ') || (service.notAsked ?? '–')];
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  return textTable(head, rows).split('\n');
}

function clusterOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function fit(line: string, columns: number): string {
  return line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 1))}…`;
}

function seconds(ms: number | null): string {
  return ms === null || ms < 0 ? '–' : `${(ms / 1000).toFixed(1)} s`;
}
