import { type KeyValue } from '../../kvstore/index.ts';
import { type HeldNumber, type RemoteOrigin, decodeHeldNumbers, decodeIdentity } from '../wire/index.ts';

/** Reads what the node `holder` says of the identities it uses. @throws {InvalidRecordError} for those of another cluster, too */
export function heldNumbersOf(origin: RemoteOrigin): (holder: string, entry: KeyValue) => readonly HeldNumber[] {
  return (holder, { value }) => {
    const { numbers } = decodeHeldNumbers(holder, value);
    for (const { id, text } of numbers) decodeIdentity(String(id), text, origin);
    return numbers;
  };
}
