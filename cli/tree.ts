import type { CommandGroup } from './command.ts';
import { lab } from './lab/tree.ts';
import { peer } from './peer/tree.ts';
import { store } from './store/tree.ts';

/** Every command of `isthmus`. Modules are named here and loaded when needed. */
export const tree: CommandGroup = {
  summary: 'Joins clusters into one mesh',
  commands: {
    agent: {
      summary: 'Run the agent of one node: registers it and drives its kernel',
      load: async () => (await import('./agent.ts')).agent,
    },
    apiserver: {
      summary: 'Run the apiserver of one cluster, which is also its store',
      load: async () => (await import('./apiserver.ts')).apiserver,
    },
    kvstoremesh: {
      summary: 'Copy remote clusters into the own cluster’s store, for its agents',
      load: async () => (await import('./kvstoremesh.ts')).kvstoremesh,
    },
    store,
    peer,
    apply: {
      summary: 'Make peers what a file declares',
      load: async () => (await import('./apply.ts')).apply,
    },
    status: {
      summary: 'Say what an agent or an apiserver knows of itself and of the mesh',
      load: async () => (await import('./status.ts')).status,
    },
    troubleshoot: {
      summary: 'Walk the way to remote clusters layer by layer, and say where it is broken',
      load: async () => (await import('./troubleshoot.ts')).troubleshoot,
    },
    get: {
      summary: 'List nodes, identities, ips, services or clusters as an agent knows them',
      load: async () => (await import('./get.ts')).get,
    },
    lab,
    mock: {
      summary: 'Fill stores with clusters that do not exist, to test what reads them',
      load: async () => (await import('./mock/mock.ts')).mock,
    },
  },
};
