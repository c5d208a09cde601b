import type { BpfMap } from '../../kernel/ports/index.ts';
import { defineLayout, u64 } from '../codec/index.ts';
import { type DropReason, type ForwardEvent, dropReasons, forwardEvents } from './reasons.ts';

/** `struct counter`. */
export const counterLayout = defineLayout('counter', 16, { packets: u64(0), bytes: u64(8) });

/** Packets and bytes since the map was made; sums over CPUs. At the socket level a packet is a call, of 0 bytes. */
export interface Counter<Name extends string> {
  readonly name: Name;
  readonly packets: number;
  readonly bytes: number;
}

/** Every drop reason but `none`, zeros included, in the order of the program's numbers. */
export function readDrops(map: BpfMap): readonly Counter<DropReason>[] {
  return readCounters(map, dropReasons).slice(1);
}

export function readForwards(map: BpfMap): readonly Counter<ForwardEvent>[] {
  return readCounters(map, forwardEvents);
}

/** One counter per name, at the name's index. */
export function readCounters<Name extends string>(map: BpfMap, names: readonly Name[]): readonly Counter<Name>[] {
  const key = Buffer.alloc(4);
  return names.map((name, index) => {
    key.writeUInt32LE(index);
    const value = map.lookup(key);
    const { packets, bytes } = value ? counterLayout.decode(Buffer.from(value)) : { packets: 0n, bytes: 0n };
    return { name, packets: Number(packets), bytes: Number(bytes) };
  });
}
