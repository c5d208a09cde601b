import { InvalidRecordError, decodeClusterConfig } from '../wire/index.ts';

/** What is wrong with a value that stands where a cluster's configuration is to be; nothing when it is one. */
export function misreadOf(key: string, value: Uint8Array): InvalidRecordError | undefined {
  try {
    decodeClusterConfig(key, value);
    return undefined;
  } catch (error) {
    if (error instanceof InvalidRecordError) return error;
    throw error;
  }
}
