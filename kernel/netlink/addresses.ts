import type { InterfaceAddress } from '../ports/index.ts';
import { ipFromBytes, ipToBytes } from '../../values/ip/index.ts';
import { AF_INET, AF_INET6, familyOf } from '../abi/index.ts';
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

const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const IFA = { address: 1, local: 2, flags: 8 } as const;
/** No duplicate address detection: an IPv6 address would not be usable for the first second or two. */
const IFA_F_NODAD = 2;

export function addressDump(): MessageWriter {
  return new MessageWriter(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP).header(Buffer.alloc(8));
}

export function addressAddition(address: InterfaceAddress): MessageWriter {
  return addressMessage(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, address);
}

export function addressRemoval(address: InterfaceAddress): MessageWriter {
  return addressMessage(RTM_DELADDR, 0, address);
}

export function addressOf(message: Message): InterfaceAddress | undefined {
  if (message.type !== RTM_NEWADDR) return undefined;
  const family = message.body.readUInt8(0);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const attributes = attributesOf(message.body.subarray(8));
  // On a point-to-point link the two differ; ours is the local one.
  const bytes = attributes.get(IFA.local) ?? attributes.get(IFA.address);
  if (!bytes) return undefined;
  return { link: message.body.readUInt32LE(4), address: ipFromBytes(bytes), length: message.body.readUInt8(1) };
}

function addressMessage(type: number, flags: number, address: InterfaceAddress): MessageWriter {
  const bytes = ipToBytes(address.address);
  const header = Buffer.alloc(8);
  header.writeUInt8(familyOf(address.address), 0);
  header.writeUInt8(address.length, 1);
  header.writeUInt8(bytes.length === 16 ? IFA_F_NODAD : 0, 2);
  header.writeUInt32LE(address.link, 4);
  return new MessageWriter(type, NLM_F_REQUEST | NLM_F_ACK | flags)
    .header(header)
    .attribute(IFA.local, bytes)
    .attribute(IFA.address, bytes);
}
