/** Family numbers as they stand in map keys (Cilium `pkg/maps`), not those of the socket API. */
export const familyIpv4 = 1;
export const familyIpv6 = 2;

export function familyNumber(family: 4 | 6): number {
  return family === 4 ? familyIpv4 : familyIpv6;
}

/** @throws {RangeError} for a number that is no family. */
export function familyOf(number: number): 4 | 6 {
  if (number === familyIpv4) return 4;
  if (number === familyIpv6) return 6;
  throw new RangeError(`Not an address family of a map key: ${number}`);
}
