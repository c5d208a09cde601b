export type { PeerConfig, PeerEvent } from './peer-config.ts';
export { type DirectoryScan, scanDirectory } from './scan-directory.ts';
export { type PeerWatchOptions, watchPeers } from './watch-peers.ts';
