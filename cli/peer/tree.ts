import type { CommandGroup } from '../command.ts';

/** The commands of `isthmus peer`. */
export const peer: CommandGroup = {
  summary: 'Certificates of this cluster, and other clusters as its peers',
  commands: {
    init: {
      summary: 'Make the authority and the certificates of this cluster',
      load: async () => (await import('./init.ts')).peerInit,
    },
    invite: {
      summary: 'Write an invitation for another cluster',
      load: async () => (await import('./invite.ts')).peerInvite,
    },
    accept: { summary: 'Accept an invitation', load: async () => (await import('./accept.ts')).peerAccept },
    add: { summary: 'Follow a cluster that runs Cilium', load: async () => (await import('./add.ts')).peerAdd },
    list: { summary: 'List peers and who is invited', load: async () => (await import('./list.ts')).peerList },
    show: { summary: 'Say what is kept of a peer', load: async () => (await import('./show.ts')).peerShow },
    leave: { summary: 'End it with a peer', load: async () => (await import('./leave.ts')).peerLeave },
    rotate: {
      summary: 'Renew certificates before they are due',
      load: async () => (await import('./rotate.ts')).peerRotate,
    },
    revoke: { summary: 'Take a certificate back', load: async () => (await import('./revoke.ts')).peerRevoke },
    issue: { summary: 'Make a certificate for an agent', load: async () => (await import('./issue.ts')).peerIssue },
  },
};
