export {
  type Family,
  type IpAddress,
  formatIp,
  ipFromBytes,
  ipToBytes,
  ipv4HostNumber,
  ipv4ToNumber,
  isIp,
  numberToIpv4,
  parseIp,
} from './address.ts';
export {
  type Prefix,
  containsIp,
  formatPrefix,
  hostPrefix,
  nthAddress,
  parsePrefix,
  prefixesOverlap,
} from './prefix.ts';
