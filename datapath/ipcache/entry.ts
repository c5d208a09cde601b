import type { IpAddress, Prefix } from '../../values/ip/index.ts';

/** What the datapath knows of the addresses behind one prefix: whose they are and where they are reached. */
export interface IpcacheEntry {
  readonly prefix: Prefix;
  /** Security identity, 32 bits including scope. */
  readonly identity: number;
  /** Node to which packets are sent through the overlay; absent: not tunnelled (local, or not in the mesh). */
  readonly tunnelEndpoint?: IpAddress;
  /** 0 none, 1–15 IPsec SPI, 255 WireGuard. */
  readonly encryptKey: number;
  /** Flag 0x08 of the value: a node of a remote cluster. */
  readonly remoteCluster?: boolean;
}
