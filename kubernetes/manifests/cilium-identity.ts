import type { CiliumIdentity } from '../objects/index.ts';
import type { FieldReader } from './field-reader.ts';
import { readMetadata } from './metadata.ts';

export function readCiliumIdentity(reader: FieldReader): CiliumIdentity {
  const metadata = readMetadata(reader, 'cluster');
  if (!/^[1-9]\d{0,9}$/.test(metadata.name) || Number(metadata.name) > 0xffff_ffff)
    throw reader.object('metadata').error('name', 'the number of the identity', metadata.name);
  return { kind: 'CiliumIdentity', metadata, securityLabels: reader.textMap('security-labels') };
}
