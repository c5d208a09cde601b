const most = 8192;
const longest = 64;
const known = new Map<string, string>();

/**
 * The same text, as one string for all who hold it: what many records repeat (a label's key, a cluster's name, a kind of
 * address) takes its memory once. A text that was cut out of a long one no longer holds on to that. What is remembered is
 * bounded; whoever sends new texts without end makes nothing but this function slower.
 */
export function sharedText(text: string): string {
  const found = known.get(text);
  if (found !== undefined) return found;
  // In two bytes a unit, so that also half a pair comes back as it was.
  const own = Buffer.from(text, 'utf16le').toString('utf16le');
  if (own.length > longest) return own;
  if (known.size >= most) known.clear();
  known.set(own, own);
  return own;
}
