import type { CommandGroup } from '../command.ts';

/** The commands of `isthmus store`. */
export const store: CommandGroup = {
  summary: 'Serve, read and move stores',
  commands: {
    serve: {
      summary: 'Serve an embedded store over the etcd v3 API',
      load: async () => (await import('../store-serve.ts')).storeServe,
    },
    status: { summary: 'Say what a store holds', load: async () => (await import('./status.ts')).storeStatus },
    get: { summary: 'Print the value of a key', load: async () => (await import('./get.ts')).storeGet },
    list: { summary: 'List keys', load: async () => (await import('./list.ts')).storeList },
    watch: { summary: 'Print changes as they happen', load: async () => (await import('./watch.ts')).storeWatch },
    copy: {
      summary: 'Copy a store into another one, and follow it',
      load: async () => (await import('./copy.ts')).storeCopy,
    },
    check: { summary: 'Compare two stores', load: async () => (await import('./check.ts')).storeCheck },
    snapshot: {
      summary: 'Write what a store holds into a file',
      load: async () => (await import('./snapshot.ts')).storeSnapshot,
    },
    restore: {
      summary: 'Make an embedded store of a snapshot',
      load: async () => (await import('./restore.ts')).storeRestore,
    },
    users: {
      summary: "Make the users of a cluster's store in an etcd",
      load: async () => (await import('./users.ts')).storeUsers,
    },
    compact: { summary: 'Forget history', load: async () => (await import('./compact.ts')).storeCompact },
    defrag: {
      summary: 'Give free space of an etcd member back',
      load: async () => (await import('./defrag.ts')).storeDefrag,
    },
  },
};
