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
    column('ADDRESSES', 'addresses'),
    column('POD CIDRS', 'podCidrs'),
  ],
  identities: [column('ID', 'id', 'right'), column('CLUSTER', 'cluster'), column('LABELS', 'labels')],
  ips: [
    column('PREFIX', 'prefix'),
    column('CLUSTER', 'cluster'),
    column('IDENTITY', 'identity', 'right'),
    column('HOST', 'hostIp'),
    column('NAMESPACE', 'namespace'),
    column('POD', 'podName'),
  ],
  services: [
    column('NAMESPACE', 'namespace'),
    column('NAME', 'name'),
    column('FRONTENDS', 'frontends'),
    column('GLOBAL', 'global'),
    column('BACKENDS', 'backends'),
  ],
  clusters: [
    column('NAME', 'name'),
    column('ID', 'id', 'right'),
    column('READY', 'ready'),
    column('NODES', 'nodes', 'right'),
    column('IDENTITIES', 'identities', 'right'),
    column('IPS', 'ips', 'right'),
    column('SERVICES', 'services', 'right'),
    column('HEARTBEAT', 'heartbeatAgeSeconds', 'right'),
    column('ERROR', 'error'),
  ],
};

function column(title: string, member: string, align: 'left' | 'right' = 'left'): Column<Row> {
  return { title, align, text: (row) => textOf(row[member]) };
}

/** Lists with commas, maps as `key=value`; a label or an address is shown by its text. */
function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value)) return value.map((item) => textOf(item) ?? '').join(',');
  if (typeof value !== 'object') return typeof value === 'string' ? value : JSON.stringify(value);
  return Object.entries(value)
    .map(([key, member]) => `${key}=${textOf(member) ?? ''}`)
    .join(',');
}
