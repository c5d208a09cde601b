import { sharedText } from '../text/index.ts';

/** Kubernetes labels: key → value. */
export type Labels = Readonly<Record<string, string>>;

/** A security label: where it comes from (`k8s`, `reserved`, …), its key and its value. */
export interface Label {
  readonly source: string;
  readonly key: string;
  readonly value: string;
}

/**
 * The text of a label set: `source:key=value;` each, sorted by key bytewise, the last `;` included (Cilium
 * `labels.SortedList`). Labels of equal keys keep one entry, the last.
 */
export function formatLabels(labels: readonly Label[]): string {
  const byKey = new Map(labels.map((label) => [label.key, label]));
  return [...byKey.values()]
    .toSorted((a, b) => compareBytes(a.key, b.key))
    .map((label) => `${label.source}:${label.key}=${label.value};`)
    .join('');
}

/** Parts of a label set's text, in its order. */
export function parseLabels(text: string): Label[] {
  return text
    .split(';')
    .filter((part) => part !== '')
    .map(parseLabel);
}

/** One label (Cilium `labels.ParseLabel`): `$x` is `reserved:x`; without source it is `unspec`. */
export function parseLabel(text: string): Label {
  if (text.startsWith('$')) return { source: 'reserved', ...keyAndValue(text.slice(1), true) };
  const colon = text.indexOf(':');
  if (colon >= 0) {
    const source = sharedText(text.slice(0, colon)) || 'unspec';
    return { source, ...keyAndValue(text.slice(colon + 1), source === 'reserved') };
  }
  if (text.startsWith('reserved.')) return { source: 'reserved', ...keyAndValue(text.slice('reserved.'.length), true) };
  return { source: 'unspec', ...keyAndValue(text, false) };
}

function keyAndValue(text: string, reserved: boolean): { key: string; value: string } {
  const equals = text.indexOf('=');
  if (equals < 0) return { key: sharedText(text), value: '' };
  if (equals === 0 && reserved) return { key: sharedText(text.slice(1)), value: '' };
  return { key: sharedText(text.slice(0, equals)), value: sharedText(text.slice(equals + 1)) };
}

/** Order of Go's string comparison: by UTF-8 bytes, not by UTF-16 units. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
