import { formatPrefix, parsePrefix } from '../../values/ip/index.ts';
import type { Namespace, Node } from '../objects/index.ts';
import type { FieldReader } from './field-reader.ts';
import { readMetadata } from './metadata.ts';
import { hasCondition } from './pod.ts';

/** A Node without any condition counts as ready: somebody wrote it by hand. */
export function readNode(reader: FieldReader): Node {
  const spec = reader.object('spec');
  const status = reader.object('status');
  const single = spec.optional('podCIDR');
  const several = spec.parsed('podCIDRs', 'an address block without host bits', (text) =>
    formatPrefix(parsePrefix(text)),
  );
  if (several.length === 0 && single !== undefined) {
    try {
      several.push(formatPrefix(parsePrefix(single)));
    } catch {
      throw spec.error('podCIDR', 'an address block without host bits', single);
    }
  }
  return {
    kind: 'Node',
    metadata: readMetadata(reader, 'cluster'),
    spec: { podCIDRs: several },
    status: {
      addresses: status.list('addresses', (item) => ({ type: item.text('type'), address: item.text('address') })),
      ready: hasCondition(status, 'Ready', true),
    },
  };
}

export function readNamespace(reader: FieldReader): Namespace {
  return { kind: 'Namespace', metadata: readMetadata(reader, 'cluster') };
}
