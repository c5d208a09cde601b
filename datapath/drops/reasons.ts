/** Names of `enum drop_reason`, by index. A test compares them with the compiled object. */
export const dropReasons = [
  'none',
  'spoofed source',
  'unsupported protocol',
  'malformed',
  'no tunnel key',
  'forged tunnel source',
  'invalid identity',
  'unknown endpoint',
  'encapsulation',
  'no backend',
  'no nat port',
  'hairpin',
  'rewrite',
  'fragment',
] as const;
export type DropReason = (typeof dropReasons)[number];

/** Names of `enum forward_event`, by index. */
export const forwardEvents = [
  'to overlay',
  'to endpoint',
  'to stack',
  'from overlay',
  'service tc',
  'service socket',
  'reverse tc',
  'reverse socket',
] as const;
export type ForwardEvent = (typeof forwardEvents)[number];
