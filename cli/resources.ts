import type { Column } from './output/index.ts';

/** What `isthmus get` can list. */
export const resources = ['nodes', 'identities', 'ips', 'services', 'clusters'] as const;
export type Resource = (typeof resources)[number];

/** One item of an agent's answer. */
export type Row = Readonly<Record<string, unknown>>;

export function isResource(word: string): word is Resource {
  return (resources as readonly string[]).includes(word);
}

export function columnsFor(resource: Resource): readonly Column<Row>[] {
  return tables[resource];
}

const tables: Readonly<Record<Resource, readonly Column<Row>[]>> = {
  nodes: [
    column('CLUSTER', 'cluster'),
    column('NAME', 'name'),
    column('TUNNEL ENDPOINT', 'tunnelEndpoint'),
    column('POD CIDRS', 'podCidrs'),
  ],
  identities: [column('ID', 'id', 'right'), column('CLUSTER', 'cluster'), column('LABELS', 'labels')],
  ips: [
    column('IP', 'ip'),
    column('CLUSTER', 'cluster'),
    column('IDENTITY', 'identity', 'right'),
    column('HOST', 'hostIp'),
    column('NAMESPACE', 'namespace'),
    column('POD', 'podName'),
  ],
  services: [
    column('CLUSTER', 'cluster'),
    column('NAMESPACE', 'namespace'),
    column('NAME', 'name'),
    column('TYPE', 'type'),
    column('CLUSTER IP', 'clusterIps'),
    { title: 'PORTS', text: (row) => listOf(row['ports'], ({ port, protocol }) => `${text(port)}/${text(protocol)}`) },
    column('GLOBAL', 'global'),
    { title: 'BACKENDS', text: (row) => backendCounts(row['backends']) },
  ],
  clusters: [
    column('FROM', 'from'),
    column('NAME', 'name'),
    column('ID', 'cluster-id', 'right'),
    column('READY', 'ready'),
    column('NODES', 'num-nodes', 'right'),
    column('ENDPOINTS', 'num-endpoints', 'right'),
    column('IDENTITIES', 'num-identities', 'right'),
    column('SERVICES', 'num-shared-services', 'right'),
    column('HEARTBEAT', 'heartbeat-age-seconds', 'right'),
    { title: 'STATUS', text: (row) => text(row['failure'] ?? row['status']) },
  ],
};

function column(title: string, member: string, align: 'left' | 'right' = 'left'): Column<Row> {
  return { title, align, text: (row) => text(row[member]) };
}

function text(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value)) return value.map((item) => text(item) ?? '').join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function listOf(value: unknown, show: (item: Row) => string): string | undefined {
  return Array.isArray(value) ? (value as Row[]).map(show).join(',') : undefined;
}

/** How many backends each cluster has behind a service, over all its ports. */
function backendCounts(value: unknown): string | undefined {
  if (!Array.isArray(value)) return undefined;
  const addresses = new Map<string, Set<string>>();
  for (const backend of value as Row[]) {
    const cluster = text(backend['cluster']) ?? '';
    addresses.set(cluster, (addresses.get(cluster) ?? new Set()).add(text(backend['address']) ?? ''));
  }
  return [...addresses].map(([cluster, found]) => `${cluster}=${found.size}`).join(',');
}
