export { type ControlOptions, serveControl } from './control-server.ts';
export type { LabStatus } from './lab-status.ts';
