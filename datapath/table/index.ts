export type { AuditResult, TableChange, TableDriver } from './table-driver.ts';
export { MapTable, type RowCodec } from './map-table.ts';
export { Packed } from './packed.ts';
export { Serial } from './serial.ts';
