import { KvStoreError } from '../../contract/index.ts';
import type { ChangeColumns } from './change-columns.ts';
import type { Position } from './position.ts';

/** Something has happened in the past that had not happened when we were there: the store was put back, and has grown since. */
export class OtherHistoryError extends KvStoreError {
  readonly code = 'KVSTORE_OTHER_HISTORY';
  readonly retry = 'relist';
}

/**
 * Looks at events that begin where `position` was last proven: up to where it has been, nothing may come.
 * @throws {OtherHistoryError}
 */
export function checkRepeated({ revisions, length }: ChangeColumns, position: Position, what: string): void {
  const first = revisions[0] as number;
  if (length > 0 && first < position.next)
    throw new OtherHistoryError(
      `Cannot ${what}: revision ${first} has a change that was not there when the store was at ${position.revision}`,
    );
}
