import { parseIp } from '../../values/ip/index.ts';
import type { ContainerPort, Pod, Protocol } from '../objects/index.ts';
import type { FieldReader } from './field-reader.ts';
import { readMetadata, readServiceAccount } from './metadata.ts';

export const protocols: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];
const phases = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] as const;

export function readPod(reader: FieldReader): Pod {
  const status = reader.object('status');
  const single = status.optional('podIP');
  const several = status.list('podIPs', (item) => address(item, 'ip'));
  const hostIP = status.has('hostIP') ? address(status, 'hostIP') : undefined;
  return {
    kind: 'Pod',
    metadata: readMetadata(reader, 'namespaced'),
    spec: readPodSpec(reader.object('spec')),
    status: {
      phase: status.oneOf('phase', phases, 'Pending'),
      podIPs: several.length > 0 ? several : single === undefined ? [] : [address(status, 'podIP')],
      ...(hostIP === undefined ? {} : { hostIP }),
      ready: hasCondition(status, 'Ready', false),
    },
  };
}

/** Also the `spec` of a workload's template. Ports of all containers, in order. */
export function readPodSpec(spec: FieldReader): Pod['spec'] {
  return {
    ...spec.spread('nodeName'),
    serviceAccountName: readServiceAccount(spec),
    hostNetwork: spec.boolean('hostNetwork'),
    ...spec.spread('hostname'),
    ports: spec.list('containers', (container) => container.list('ports', readContainerPort)).flat(),
  };
}

function readContainerPort(port: FieldReader): ContainerPort {
  const hostPort = port.integer('hostPort', 0, 65_535, 0);
  return {
    ...port.spread('name'),
    containerPort: port.port('containerPort'),
    protocol: port.oneOf('protocol', protocols, 'TCP'),
    ...(hostPort === 0 ? {} : { hostPort }),
  };
}

/** Whether `status.conditions` holds `type` with status `True`; `absent` when there are no conditions at all. */
export function hasCondition(status: FieldReader, type: string, absent: boolean): boolean {
  const conditions = status.list('conditions', (item) => ({ type: item.text('type'), status: item.text('status') }));
  if (conditions.length === 0) return absent;
  return conditions.some((condition) => condition.type === type && condition.status === 'True');
}

export function address(reader: FieldReader, name: string): string {
  const text = reader.text(name);
  try {
    return parseIp(text);
  } catch {
    throw reader.error(name, 'an IP address', text);
  }
}
