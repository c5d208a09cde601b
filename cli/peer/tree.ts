import type { CommandGroup } from '../command.ts';

/** The commands of `isthmus peer`. */
export const peer: CommandGroup = {
  summary: 'Certificates of this cluster, and other clusters as its peers',
  commands: {
    init: {
      summary: 'Make the authority and the certificates of this cluster',
      load: async () => (await import('./init.ts')).peerInit,
    },
  },
};
