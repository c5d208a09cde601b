export { StoreElection, type StoreElectionOptions } from './store-election.ts';
