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
    `isthmus lab ${model.lab}: ${model.clusters.length} clusters, up in ${seconds(model.upMs)}${model.sendsPackets ? `, first cross-cluster answer in ${seconds(model.firstCrossClusterMs)}` : ', in-memory kernel: no packet is sent'}`,
    '',
    ...table(
      ['CLUSTER', 'HEARTBEAT', 'NODES', 'IDENTITIES', 'IPS', 'SERVICES', 'STATE'],
      model.clusters.map((c) => [
        c.name,
        heartbeatText(c.heartbeatAgeSeconds),
        c.nodes,
        c.identities,
        c.endpoints,
        c.services,
        c.state,
      ]),
    ),
    '',
  ];
  const services = model.services.filter((service) => service.global);
  const answers = serviceLines(services, columns);
  const foot = [
    'Try, in another terminal:',
    ...model.commands.flatMap((command) => commandLines(command, columns)),
    'Ctrl-C ends the lab and removes everything it made.',
  ];
  const room = rows - head.length - answers.length - foot.length - 1;
  const middle = model.sendsPackets ? matrixLines(model, columns, room) : model.kernelLines.slice(0, Math.max(0, room));
  const body = shortened([...head, ...middle, ...(middle.length > 0 ? [''] : []), ...answers], rows - foot.length);
  return [...body, ...foot].slice(-rows).map((line) => fit(line, columns));
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
    `${title} (by cluster: ${pods.length} pods do not fit)`,
    ...table(
      ['FROM \\ TO', ...clusters],
      clusters.map((from) => [from, ...clusters.map((to) => cell(from, to))]),
    ),
  ];
}

/** Who answers each Service: by pod, or by cluster where pods' names do not fit. */
function serviceLines(services: readonly ServiceReport[], columns: number): string[] {
  if (services.length === 0) return [];
  const head = ['GLOBAL SERVICE', 'FAILED', 'ANSWERED BY'];
  const byPod = table(
    head,
    services.map((service) => serviceRow(service, (pod) => pod)),
  );
  if (byPod.every((line) => line.length <= columns)) return [...byPod, ''];
  return [
    ...table(
      head,
      services.map((service) => serviceRow(service, clusterOf)),
    ),
    '',
  ];
}

/** A command that is too long goes on in the next line, as a shell reads it. */
function commandLines(command: string, columns: number): string[] {
  const lines = ['  '];
  for (const word of command.split(' ')) {
    const last = lines.at(-1) ?? '';
    const joined = last.trim() === '' ? `${last}${word}` : `${last} ${word}`;
    if (joined.length + 2 <= columns || last.trim() === '') lines[lines.length - 1] = joined;
    else {
      lines[lines.length - 1] = `${last} \\`;
      lines.push(`    ${word}`);
    }
  }
  return lines;
}

/** As many lines as there is room for; the last one says how many are missing. */
function shortened(lines: readonly string[], room: number): string[] {
  if (lines.length <= room) return [...lines];
  if (room <= 0) return [];
  const shown = lines.slice(0, room - 1);
  const missing = lines.slice(room - 1).filter((line) => line !== '').length;
  return missing === 0 ? [...shown, ''] : [...shown, `… ${missing} more lines: enlarge the terminal to see them`];
}

function serviceRow(service: ServiceReport, whoOf: (pod: string) => string): (string | number)[] {
  const counts = new Map<string, number>();
  for (const [pod, count] of Object.entries(service.answeredBy))
    counts.set(whoOf(pod), (counts.get(whoOf(pod)) ?? 0) + count);
  const answers = [...counts].toSorted(([a], [b]) => a.localeCompare(b)).map(([who, count]) => `${who} ${count}`);
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
