export type { Election, ElectionStatus } from './election.ts';
