import type { ServiceExport } from '../objects/index.ts';
import type { FieldReader } from './field-reader.ts';
import { readMetadata } from './metadata.ts';

export function readServiceExport(reader: FieldReader): ServiceExport {
  const spec = reader.object('spec');
  return {
    kind: 'ServiceExport',
    metadata: readMetadata(reader, 'namespaced'),
    spec: { exportedLabels: spec.textMap('exportedLabels'), exportedAnnotations: spec.textMap('exportedAnnotations') },
  };
}
