/** Value of heartbeat, canaries and marks: RFC 3339, UTC, whole seconds. Readers never look at it. */
export function encodeTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Milliseconds since 1970, or `undefined` for anything that is no RFC 3339 time (an offset is allowed). */
export function decodeTime(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
