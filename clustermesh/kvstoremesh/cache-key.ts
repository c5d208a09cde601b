const slash = 0x2f;

/**
 * What follows the prefix in the key of a copy: the remote's own words, with the slashes as Cilium's join of paths leaves them
 * (kvstore-schema §0.1, clustermesh-behaviour §8.1): several become one, none at either end; dots stay. Bytes, since a key
 * of somebody else's need not be text. Empty for a key that is nothing but the prefix.
 */
export function cacheSuffix(suffix: Uint8Array): Uint8Array {
  if (isClean(suffix)) return suffix;
  const clean = new Uint8Array(suffix.length);
  let used = 0;
  for (const byte of suffix) {
    if (byte === slash && (used === 0 || clean[used - 1] === slash)) continue;
    clean[used++] = byte;
  }
  if (used > 0 && clean[used - 1] === slash) used -= 1;
  return clean.subarray(0, used);
}

function isClean(suffix: Uint8Array): boolean {
  let before = slash;
  for (const byte of suffix) {
    if (byte === slash && before === slash) return false;
    before = byte;
  }
  return before !== slash;
}
