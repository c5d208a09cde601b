import { parseDocument } from 'yaml';
import { type Prefix, formatPrefix, parsePrefix, prefixesOverlap } from '../../values/ip/index.ts';
import { defaultCluster, defaultTopology, maxClusters } from './default-topology.ts';
import { reservedCluster, reservedNode, sharedNames } from './reserved-names.ts';
import { type LabCluster, type Topology, TopologyError } from './topology.ts';
import { unusableBlock } from './usable-block.ts';

const clusterName = /^(?=.{1,32}$)([a-z0-9][-a-z0-9]*)?[a-z0-9]$/;
const nodeName = /^(?=.{1,40}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const objectName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?\/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/**
 * Reads a topology file (`docs/operations.md` describes it).
 * @throws {TopologyError} naming every field that is wrong and what was expected there.
 */
export function parseTopology(text: string, file: string): Topology {
  const problems: string[] = [];
  const root = asRecord(readYaml(text, file), 'the document', problems);
  onlyMembers(root, ['apiVersion', 'kind', 'clusters', 'workloads', 'services'], '', problems);
  if (root['kind'] !== undefined && root['kind'] !== 'LabTopology')
    problems.push(`kind: expected LabTopology, found ${show(root['kind'])}`);
  const clusters = parseClusters(root['clusters'], problems);
  const names = new Set(clusters.map((cluster) => cluster.name));
  const topology: Topology = {
    clusters,
    placements: parsePlacements(root['workloads'], names, problems),
    globalServices: parseGlobalServices(root['services'], problems),
  };
  problems.push(...clusterConflicts(clusters));
  if (problems.length > 0) throw new TopologyError(file, problems);
  return topology;
}

/** @throws {TopologyError} for what is no YAML, or cannot be made plain values of: aliases of nothing, of themselves, or of far too much. */
function readYaml(text: string, file: string): unknown {
  const document = parseDocument(text);
  const syntax = document.errors.map(({ code, message }) =>
    code === 'MULTIPLE_DOCS' ? 'expected one document, found several' : (message.split('\n')[0] ?? 'not YAML'),
  );
  if (syntax.length > 0) throw new TopologyError(file, syntax);
  try {
    const value: unknown = document.toJS();
    // Whatever is wrong in it is shown as JSON, which has no end where a value holds itself.
    JSON.stringify(value);
    return value;
  } catch (error) {
    throw new TopologyError(file, [(error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '']);
  }
}

function parseClusters(value: unknown, problems: string[]): LabCluster[] {
  if (value === undefined) return [...defaultTopology().clusters];
  if (!Array.isArray(value) || value.length === 0) {
    problems.push('clusters: expected a list of at least one cluster');
    return [];
  }
  if (value.length > maxClusters)
    problems.push(`clusters: a lab has at most ${maxClusters} clusters, found ${value.length}`);
  return value.slice(0, maxClusters).flatMap((item: unknown, index) => parseCluster(item, index, problems));
}

function parseCluster(item: unknown, index: number, problems: string[]): LabCluster[] {
  const at = `clusters[${index}]`;
  const record = asRecord(item, at, problems);
  onlyMembers(record, ['name', 'id', 'nodes', 'underlayCIDR', 'podCIDR', 'serviceCIDR'], `${at}.`, problems);
  const { name, id } = record;
  if (typeof name !== 'string' || !clusterName.test(name) || name === 'default') {
    problems.push(
      `${at}.name: expected 1–32 lower-case letters, digits and dashes (not "default"), found ${show(name)}`,
    );
    return [];
  }
  const reserved = reservedCluster(name);
  if (reserved !== undefined) problems.push(`${at}.name: ${reserved}`);
  if (!Number.isInteger(id) || Number(id) < 1 || Number(id) > 255)
    problems.push(`${at}.id: expected a number from 1 to 255, found ${show(id)}`);
  const base = defaultCluster(name, Number(id), index);
  const cluster: LabCluster = {
    ...base,
    nodes: parseNodes(record['nodes'], base, at, problems),
    underlayCidr: parseCidr(record['underlayCIDR'], base.underlayCidr, 25, `${at}.underlayCIDR`, problems),
    podCidr: parseCidr(record['podCIDR'], base.podCidr, 20, `${at}.podCIDR`, problems),
    serviceCidr: parseCidr(record['serviceCIDR'], base.serviceCidr, 24, `${at}.serviceCIDR`, problems),
  };
  return [cluster];
}

function parseNodes(value: unknown, base: LabCluster, at: string, problems: string[]): readonly string[] {
  if (value === undefined) return base.nodes;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 16) {
    return Array.from({ length: value }, (_, i) => `node-${i + 1}`);
  }
  if (!Array.isArray(value) || value.length < 1 || value.length > 16) {
    problems.push(`${at}.nodes: expected a number from 1 to 16 or a list of 1 to 16 names, found ${show(value)}`);
    return base.nodes;
  }
  const nodes: string[] = [];
  for (const [i, node] of value.entries()) {
    const problem = nodeProblem(node, nodes);
    if (problem === undefined) nodes.push(node as string);
    else problems.push(`${at}.nodes[${i}]: ${problem}`);
  }
  return nodes;
}

function nodeProblem(node: unknown, others: readonly string[]): string | undefined {
  if (typeof node !== 'string' || !nodeName.test(node))
    return `expected 1–40 lower-case letters, digits and dashes, found ${show(node)}`;
  if (others.includes(node)) return `expected distinct names; ${node} is already the name of another node`;
  return reservedNode(node);
}

function parseCidr(value: unknown, fallback: Prefix, longest: number, at: string, problems: string[]): Prefix {
  if (value === undefined) return fallback;
  try {
    const prefix = parsePrefix(typeof value === 'string' ? value : show(value));
    const problem =
      prefix.family === 4 && prefix.length <= longest && prefix.length >= 8
        ? unusableBlock(prefix)
        : `expected an IPv4 prefix from /8 to /${longest}, found ${show(value)}`;
    if (problem === undefined) return prefix;
    problems.push(`${at}: ${problem}`);
  } catch (error) {
    problems.push(`${at}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return fallback;
}

function parsePlacements(
  value: unknown,
  clusters: ReadonlySet<string>,
  problems: string[],
): Map<string, Map<string, number>> {
  const placements = new Map<string, Map<string, number>>();
  if (value === undefined || value === null) return placements;
  for (const [name, spread] of Object.entries(asRecord(value, 'workloads', problems))) {
    const at = `workloads[${JSON.stringify(name)}]`;
    if (!objectName.test(name)) problems.push(`${at}: expected <namespace>/<name>`);
    const replicas = new Map<string, number>();
    for (const [cluster, count] of Object.entries(asRecord(spread, at, problems))) {
      if (!clusters.has(cluster))
        problems.push(`${at}: cluster ${show(cluster)} is not one of ${[...clusters].join(', ')}`);
      else if (!Number.isInteger(count) || Number(count) < 0 || Number(count) > 200)
        problems.push(`${at}.${cluster}: expected replicas from 0 to 200, found ${show(count)}`);
      else replicas.set(cluster, Number(count));
    }
    placements.set(name, replicas);
  }
  return placements;
}

function parseGlobalServices(value: unknown, problems: string[]): Set<string> | 'all' {
  if (value === undefined || value === null) return 'all';
  const record = asRecord(value, 'services', problems);
  onlyMembers(record, ['global'], 'services.', problems);
  const list = record['global'] ?? [];
  if (list === 'all') return 'all';
  if (Array.isArray(list) && list.every((name) => typeof name === 'string' && objectName.test(name)))
    return new Set(list as string[]);
  problems.push(`services.global: expected "all" or a list of <namespace>/<name>, found ${show(list)}`);
  return new Set();
}

function clusterConflicts(clusters: readonly LabCluster[]): string[] {
  const problems = sharedNames(clusters);
  const blocks = clusters.flatMap((cluster, index) =>
    (['underlayCidr', 'podCidr', 'serviceCidr'] as const).map((member) => ({
      at: `clusters[${index}].${member.replace('Cidr', 'CIDR')}`,
      prefix: cluster[member],
    })),
  );
  for (const [i, a] of clusters.entries()) {
    for (const b of clusters.slice(0, i)) {
      if (a.name === b.name) problems.push(`clusters[${i}].name: ${a.name} is already the name of another cluster`);
      if (a.id === b.id) problems.push(`clusters[${i}].id: ${a.id} is already the id of cluster ${b.name}`);
    }
  }
  for (const [i, a] of blocks.entries()) {
    for (const b of blocks.slice(0, i)) {
      if (prefixesOverlap(a.prefix, b.prefix))
        problems.push(`${a.at}: ${formatPrefix(a.prefix)} overlaps ${b.at} (${formatPrefix(b.prefix)})`);
    }
  }
  return problems;
}

function asRecord(value: unknown, at: string, problems: string[]): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  problems.push(`${at}: expected a mapping, found ${show(value)}`);
  return {};
}

function onlyMembers(record: Record<string, unknown>, known: readonly string[], at: string, problems: string[]): void {
  for (const member of Object.keys(record)) {
    if (!known.includes(member)) problems.push(`${at}${member}: unknown member, expected one of ${known.join(', ')}`);
  }
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? 'nothing';
}
