import type { CommandGroup } from '../command.ts';

/** `isthmus lab …`: a whole mesh on one machine. */
export const lab: CommandGroup = {
  summary: 'A whole mesh on one machine: clusters, nodes, pods, in network namespaces',
  commands: {
    run: {
      summary: 'Run a lab in the foreground, with a live screen',
      load: async () => (await import('./run.ts')).run,
    },
    up: { summary: 'Start a lab in the background', load: async () => (await import('./up.ts')).up },
    down: { summary: 'End a lab and remove everything it made', load: async () => (await import('./down.ts')).down },
    status: {
      summary: 'Show clusters, pods and processes of a lab',
      load: async () => (await import('./status.ts')).status,
    },
    exec: { summary: 'Run a command inside a pod', load: async () => (await import('./exec.ts')).exec },
    stop: { summary: 'Stop a pod in an orderly way', load: async () => (await import('./pods.ts')).stop },
    start: { summary: 'Start a stopped pod again', load: async () => (await import('./pods.ts')).start },
    cut: {
      summary: 'Cut the link between two clusters, nodes or apiservers',
      load: async () => (await import('./links.ts')).cut,
    },
    store: {
      summary: 'Move a running cluster to another store',
      load: async () => (await import('./store.ts')).store,
    },
    heal: { summary: 'Heal a link that was cut', load: async () => (await import('./links.ts')).heal },
  },
};
