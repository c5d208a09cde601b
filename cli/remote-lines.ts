import type { RemoteClusterStatus } from '../clustermesh/index.ts';

/** How many refused keys are named: `-o json` names up to a hundred. */
const namedKeys = 5;

/** A remote cluster for people, laid out as Cilium does it (clustermesh-behaviour §13.2), then what is ours. */
export function remoteClusterLines(remote: RemoteClusterStatus): string[] {
  const { config, synced } = remote;
  const never = remote['last-failure'].startsWith('0001-');
  const exports = { true: 'enabled', false: 'disabled', undefined: 'unsupported' };
  const mode = config['endpoint-slices-export-mode'];
  const slices = remote['num-endpoint-slices'];
  const listed = [
    `nodes=${synced.nodes}, endpoints=${synced.endpoints}, identities=${synced.identities}, services=${synced.services}`,
    ...(synced['endpoint-slices'] === undefined ? [] : [`endpoint-slices=${synced['endpoint-slices']}`]),
  ].join(', ');
  return [
    `   ${remote.name}: ${remote.ready ? 'ready' : 'not-ready'}, ${remote['num-nodes']} nodes, ${remote['num-endpoints']} endpoints, ${remote['num-identities']} identities, ${remote['num-shared-services']} services, ${slices === undefined ? '' : `${slices} endpoint slices, `}${remote['num-service-exports']} MCS-API service exports, ${remote['num-failures']} reconnections (last: ${never ? 'never' : remote['last-failure']})`,
    `   └  ${remote.status}`,
    `   └  remote configuration: expected=${config.required}, retrieved=${config.retrieved}, cluster-id=${config['cluster-id'] ?? 'unknown'}, kvstoremesh=${config.kvstoremesh ?? false}, sync-canaries=${config['sync-canaries'] ?? false}, service-exports=${exports[`${config['service-exports-enabled']}`]}${mode === undefined ? '' : `, endpoint-slices=${mode}`}`,
    `   └  synchronization status: ${listed}`,
    ...[
      ...ageLines(remote),
      ...copiesLines(remote),
      ...keptLines(remote),
      ...refusedLines(remote),
      ...certificateLines(remote),
    ].map((line) => `   └  ${line}`),
    ...(remote.failure === undefined
      ? []
      : [`   └  ${remote.failure}${remote.hint === undefined ? '' : ` (${remote.hint})`}`]),
  ];
}

function ageLines(remote: RemoteClusterStatus): string[] {
  const age = remote['heartbeat-age-seconds'];
  const data = remote['data-age-seconds'];
  return [
    `last heartbeat: ${age === undefined ? 'none yet' : `${age} s ago`}${remote.stale ? ' (silent; what is known stays in use)' : ''}`,
    ...(data === undefined || remote.ready ? [] : [`what is known is from ${data} s ago`]),
  ];
}

/** Of a cluster that is read as a kvstoremesh has copied it; what is wrong with the copies is mostly the failure. */
function copiesLines({ copies, failure }: RemoteClusterStatus): string[] {
  if (!copies || (copies.reason !== undefined && copies.reason === failure)) return [];
  const words = {
    current: 'the kvstoremesh says that they are current',
    behind: copies.reason ?? 'behind',
    unknown:
      'whether they are current is not known; the kvstoremesh that makes them does not say (Cilium’s has no way to)',
  };
  return [`copies: ${words[copies.state]}`];
}

/** What is in use although it cannot be read. */
function keptLines({ restored, lost, 'lease-lost': lease }: RemoteClusterStatus): string[] {
  const lines: string[] = [];
  if (restored)
    lines.push(
      `restored: ${restored.records} records remembered from ${restored['age-seconds']} s ago are in use until it can be read${restored['left-out'].length === 0 ? '' : ` (without ${restored['left-out'].join(', ')})`}`,
    );
  if (lost !== undefined)
    lines.push(`not remembered: ${lost}; global services stay as they are in the kernel until it was read`);
  if (lease?.withdrawn)
    lines.push(`its lease was lost ${lease['age-seconds']} s ago: everything that it told is withdrawn`);
  else if (lease) {
    const left = lease['kept-for-seconds'];
    lines.push(
      `its lease was lost ${lease['age-seconds']} s ago: what is known is kept ${left === undefined ? 'until it is back' : `for another ${left} s`}`,
    );
  }
  return lines;
}

function refusedLines({ refused: { total, reasons, keys } }: RemoteClusterStatus): string[] {
  if (total === 0) return [];
  const counts = Object.entries(reasons).map(([code, count]) => `${count} ${code}`);
  const more = keys.length > namedKeys ? ` and ${keys.length - namedKeys} more keys, see -o json` : '';
  return [
    `refused: ${total} values so far${counts.length === 0 ? '' : ` (${counts.join(', ')})`}${more === '' ? '' : `; ${namedKeys} keys named here${more}`}`,
    ...keys.slice(0, namedKeys).map(({ kind, key, code, reason }) => `   ${kind} ${key}: ${code}: ${reason}`),
  ];
}

function certificateLines({ certificate }: RemoteClusterStatus): string[] {
  if (!certificate) return [];
  return [`our certificate: ${certificate.subject}, valid until ${certificate['not-after']} (${certificate.file})`];
}
