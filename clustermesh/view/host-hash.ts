import { mixed } from '../../kvstore/index.ts';

/** Of an IPv4 address. Eight neighbours stay neighbours, since listings come in order of addresses; the eights are spread. */
export function hashOfHost(address: number): number {
  const near = address & 7;
  return (((mixed(address >>> 3) << 3) | near) ^ (near << 29)) >>> 0;
}
