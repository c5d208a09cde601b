/** Names of the node's maps; pins are called the same. At most 15 characters, which is what the kernel keeps. */
export const mapNames = {
  ipcache: 'isthmus_ipcache',
  endpoints: 'isthmus_lxc',
  services: 'isthmus_lb4_svc',
  backends: 'isthmus_lb4_be',
  revNats: 'isthmus_lb4_rev',
  affinityMatches: 'isthmus_lb4_afm',
  affinity: 'isthmus_lb4_aff',
  reverseSockets: 'isthmus_lb4_rsk',
  nat: 'isthmus_nat4',
  natReverse: 'isthmus_nat4rev',
  drops: 'isthmus_drops',
  forward: 'isthmus_forward',
} as const;
export type MapName = keyof typeof mapNames;
