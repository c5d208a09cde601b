import type { Neighbour } from '../ports/index.ts';
import { ipFromBytes, ipToBytes } from '../../values/ip/index.ts';
import { AF_INET, AF_INET6, familyOf } from '../abi/index.ts';
import { macBytes, macText } from './links.ts';
import {
  type Message,
  MessageWriter,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
  attributesOf,
} from './message.ts';

const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;
const NDA = { destination: 1, linkAddress: 2 } as const;
const NUD_PERMANENT = 0x80;

export function neighbourDump(): MessageWriter {
  return new MessageWriter(RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP).header(Buffer.alloc(12));
}

export function neighbourReplacement(neighbour: Neighbour): MessageWriter {
  return neighbourMessage(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, neighbour).attribute(
    NDA.linkAddress,
    macBytes(neighbour.mac),
  );
}

export function neighbourRemoval(neighbour: Pick<Neighbour, 'link' | 'address'>): MessageWriter {
  return neighbourMessage(RTM_DELNEIGH, 0, neighbour);
}

/** A permanent neighbour; undefined for those the kernel learned and forgets by itself. */
export function neighbourOf(message: Message): Neighbour | undefined {
  if (message.type !== RTM_NEWNEIGH) return undefined;
  const family = message.body.readUInt8(0);
  const permanent = (message.body.readUInt16LE(8) & NUD_PERMANENT) !== 0;
  if ((family !== AF_INET && family !== AF_INET6) || !permanent) return undefined;
  const attributes = attributesOf(message.body.subarray(12));
  const destination = attributes.get(NDA.destination);
  if (!destination) return undefined;
  return {
    link: message.body.readInt32LE(4),
    address: ipFromBytes(destination),
    mac: macText(attributes.get(NDA.linkAddress)),
  };
}

function neighbourMessage(type: number, flags: number, neighbour: Pick<Neighbour, 'link' | 'address'>): MessageWriter {
  const header = Buffer.alloc(12);
  header.writeUInt8(familyOf(neighbour.address), 0);
  header.writeInt32LE(neighbour.link, 4);
  header.writeUInt16LE(NUD_PERMANENT, 8);
  return new MessageWriter(type, NLM_F_REQUEST | NLM_F_ACK | flags)
    .header(header)
    .attribute(NDA.destination, ipToBytes(neighbour.address));
}
