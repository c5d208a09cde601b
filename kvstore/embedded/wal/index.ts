export { decodeWrites, loggedTables } from './record.ts';
export { WriteAheadLog, type WriteLog, recordsBehind, removeLogs } from './write-ahead-log.ts';
