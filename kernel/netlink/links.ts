import type { Link, LinkSpec } from '../ports/index.ts';
import { ipToBytes } from '../../values/ip/index.ts';
import {
  type Message,
  MessageWriter,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  attributesOf,
  textOf,
  u32Of,
} from './message.ts';

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;

const IFF_UP = 1;
const IFLA = {
  address: 1,
  name: 3,
  mtu: 4,
  master: 10,
  linkInfo: 18,
  netNsFd: 28,
  extMask: 29,
} as const;
const INFO = { kind: 1, data: 2 } as const;
const VETH_INFO_PEER = 1;
/** linux/if_link.h, `IFLA_VXLAN_…`. */
const VXLAN = {
  id: 1,
  remote: 2,
  local: 4,
  learning: 7,
  port: 15,
  remote6: 16,
  local6: 17,
  udpCsum: 18,
  zeroCsum6Tx: 19,
  zeroCsum6Rx: 20,
  collectMetadata: 25,
} as const;

const RTEXT_FILTER_SKIP_STATS = 8;

/** A request for all links, without their counters. */
export function linkDump(): MessageWriter {
  return new MessageWriter(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP)
    .header(ifinfo(0, 0, 0))
    .u32(IFLA.extMask, RTEXT_FILTER_SKIP_STATS);
}

/** A request for one link; with NLM_F_ACK, so that its end is marked like that of a dump. */
export function linkQuery(name: string): MessageWriter {
  return new MessageWriter(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK)
    .header(ifinfo(0, 0, 0))
    .text(IFLA.name, name)
    .u32(IFLA.extMask, RTEXT_FILTER_SKIP_STATS);
}

/** RTM_NEWLINK of a device that must not exist yet. */
export function linkCreation(spec: LinkSpec): MessageWriter {
  const message = new MessageWriter(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)
    .header(ifinfo(spec.index ?? 0, spec.up ? IFF_UP : 0, spec.up ? IFF_UP : 0))
    .text(IFLA.name, spec.name);
  if (spec.mtu !== undefined) message.u32(IFLA.mtu, spec.mtu);
  if (spec.mac !== undefined) message.attribute(IFLA.address, macBytes(spec.mac));
  if (spec.master) message.u32(IFLA.master, spec.master);
  return message.nest(IFLA.linkInfo, (info) => {
    info.text(INFO.kind, spec.kind);
    if (spec.kind === 'veth') info.nest(INFO.data, (data) => data.nest(VETH_INFO_PEER, (peer) => vethPeer(peer, spec)));
    if (spec.kind === 'vxlan') info.nest(INFO.data, (data) => vxlanData(data, spec));
  });
}

/** RTM_NEWLINK that changes a device known by its index. */
export function linkChange(
  index: number,
  change: {
    readonly up?: boolean;
    readonly mtu?: number;
    readonly mac?: string;
    readonly master?: number;
    readonly name?: string;
  },
): MessageWriter {
  const mask = change.up === undefined ? 0 : IFF_UP;
  const message = new MessageWriter(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK).header(
    ifinfo(index, change.up ? IFF_UP : 0, mask),
  );
  if (change.name !== undefined) message.text(IFLA.name, change.name);
  if (change.mtu !== undefined) message.u32(IFLA.mtu, change.mtu);
  if (change.mac !== undefined) message.attribute(IFLA.address, macBytes(change.mac));
  if (change.master !== undefined) message.u32(IFLA.master, change.master);
  return message;
}

export function linkDeletion(name: string): MessageWriter {
  return new MessageWriter(RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK).header(ifinfo(0, 0, 0)).text(IFLA.name, name);
}

/** A link as RTM_NEWLINK tells it; undefined for other messages. */
export function linkOf(message: Message): Link | undefined {
  if (message.type !== RTM_NEWLINK) return undefined;
  const attributes = attributesOf(message.body.subarray(16));
  const info = attributesOf(attributes.get(IFLA.linkInfo) ?? Buffer.alloc(0));
  const kind = textOf(info.get(INFO.kind));
  const index = message.body.readInt32LE(4);
  const link: Link = {
    name: textOf(attributes.get(IFLA.name)),
    index,
    kind,
    mtu: u32Of(attributes.get(IFLA.mtu)),
    up: (message.body.readUInt32LE(8) & IFF_UP) !== 0,
    mac: macText(attributes.get(IFLA.address)),
    master: u32Of(attributes.get(IFLA.master)),
  };
  if (kind !== 'vxlan') return link;
  const data = attributesOf(info.get(INFO.data) ?? Buffer.alloc(0));
  const collectMetadata = (data.get(VXLAN.collectMetadata)?.[0] ?? 0) !== 0;
  return {
    ...link,
    vxlan: { collectMetadata, port: data.get(VXLAN.port)?.readUInt16BE(0) ?? 0, vni: u32Of(data.get(VXLAN.id)) },
  };
}

/** 6 bytes of `02:00:…`. @throws {RangeError} when the text is no MAC address. */
export function macBytes(text: string): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) throw new RangeError(`Not a MAC address: ${JSON.stringify(text)}`);
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

export function macText(bytes: Buffer | undefined): string {
  if (!bytes || bytes.length !== 6) return '';
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function ifinfo(index: number, flags: number, change: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(change, 12);
  return bytes;
}

function vethPeer(message: MessageWriter, spec: LinkSpec & { readonly kind: 'veth' }): void {
  const { peer } = spec;
  // Always down: the kernel opens the peer before the two ends know each other, and refuses (ENOTCONN).
  message.header(ifinfo(peer.index ?? 0, 0, 0)).text(IFLA.name, peer.name);
  if (peer.mtu !== undefined) message.u32(IFLA.mtu, peer.mtu);
  if (peer.mac !== undefined) message.attribute(IFLA.address, macBytes(peer.mac));
  if (peer.netns !== undefined) message.u32(IFLA.netNsFd, peer.netns);
}

function vxlanData(message: MessageWriter, spec: LinkSpec & { readonly kind: 'vxlan' }): void {
  message.u16be(VXLAN.port, spec.port).u8(VXLAN.learning, 0).u8(VXLAN.udpCsum, 0);
  if (spec.vni === undefined) {
    message.u8(VXLAN.collectMetadata, 1);
    return;
  }
  const remote = ipToBytes(spec.remote);
  const v6 = remote.length === 16;
  message.u32(VXLAN.id, spec.vni);
  message.attribute(v6 ? VXLAN.remote6 : VXLAN.remote, remote);
  message.attribute(v6 ? VXLAN.local6 : VXLAN.local, ipToBytes(spec.local));
  if (v6) message.u8(VXLAN.zeroCsum6Tx, 1).u8(VXLAN.zeroCsum6Rx, 1);
}
