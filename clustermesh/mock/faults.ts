/**
 * What a mock may do wrong, as stores of real clusters did:
 * - `lease`: a cluster's lease is lost, so that all its keys and its cluster config go in one revision, and come back;
 * - `garbage`: an endpoint's value is no JSON for a while;
 * - `foreign`: an endpoint has an identity of another cluster for a while;
 * - `config`: the cluster config is deleted, and comes back.
 */
export const mockFaults = ['lease', 'garbage', 'foreign', 'config'] as const;
export type MockFault = (typeof mockFaults)[number];
