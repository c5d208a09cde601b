export { type FoundRecord, decodeWrites, loggedTables } from './record.ts';
export { WriteAheadLog, type WriteLog, hasLog, lacks, recordsBehind, removeLogs } from './write-ahead-log.ts';
