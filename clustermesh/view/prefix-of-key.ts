import { formatPrefix, hostPrefix, isIp, parsePrefix } from '../../values/ip/index.ts';

/** The prefix that an address key stands for; undefined for a key that cannot have been accepted. */
export function prefixOfKey(key: string): string | undefined {
  if (isIp(key)) {
    const prefix = hostPrefix(key);
    return prefix.address === key ? formatPrefix(prefix) : undefined;
  }
  try {
    const prefix = formatPrefix(parsePrefix(key));
    return prefix === key ? prefix : undefined;
  } catch {
    return undefined;
  }
}
