import { goJson, omitEmpty, struct } from '../go-json.ts';
import { copyReportKey } from '../keys.ts';
import { type Encoded, ObjectReader } from '../object-reader.ts';
import type { CopyReportRecord } from '../records.ts';
import { decodeTime, encodeTime } from '../time-mark.ts';
import { splitSuffix } from './suffix.ts';

export function keyOfCopyReport(record: Pick<CopyReportRecord, 'cluster'>): string {
  return copyReportKey(record.cluster);
}

/** `isthmus/v1/kvstoremesh/remotes/<R>`. */
export function encodeCopyReport(record: CopyReportRecord): string {
  return goJson(
    struct(
      ['connected', omitEmpty(record.connected)],
      ['synced', omitEmpty(record.synced)],
      ['stale', omitEmpty(record.stale)],
      ['lastHeartbeat', omitEmpty(timeOf(record.lastHeartbeatMs))],
      ['failures', omitEmpty(record.failures)],
      ['lastFailure', omitEmpty(timeOf(record.lastFailureMs))],
      ['failure', omitEmpty(record.failure ?? '')],
    ),
  );
}

/** @param suffix `<R>`. @throws {InvalidRecordError} */
export function decodeCopyReport(suffix: string, value: Encoded): CopyReportRecord {
  const [cluster] = splitSuffix('isthmus/v1/kvstoremesh/remotes/', suffix, ['cluster']);
  const reader = ObjectReader.parse(copyReportKey(cluster), value);
  const time = (name: string): number | undefined => {
    const text = reader.text(name);
    const ms = text === '' ? undefined : decodeTime(text);
    if (text !== '' && ms === undefined) throw reader.error(name, 'a time (RFC 3339)');
    return ms;
  };
  const [lastHeartbeatMs, lastFailureMs] = [time('lastHeartbeat'), time('lastFailure')];
  return {
    cluster,
    connected: reader.boolean('connected'),
    synced: reader.boolean('synced'),
    stale: reader.boolean('stale'),
    ...(lastHeartbeatMs === undefined ? {} : { lastHeartbeatMs }),
    failures: reader.uint('failures', 32),
    ...(lastFailureMs === undefined ? {} : { lastFailureMs }),
    ...reader.optionalText('failure'),
  };
}

function timeOf(ms: number | undefined): string {
  return ms === undefined ? '' : encodeTime(ms);
}
