export { type Diagnosis, type Finding, type Layer, layers } from './finding.ts';
export { type TroubleshootDeps, type TroubleshootOptions, troubleshoot } from './walk.ts';
