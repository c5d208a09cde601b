import type { Label } from '../../../values/labels/index.ts';
import { clusterLabel } from '../../wire/index.ts';

/** Says which labels are part of an identity. */
export type LabelFilter = (label: Label) => boolean;

interface Pattern {
  readonly source: string;
  readonly ignore: boolean;
  readonly expression: RegExp;
}

/**
 * What holds without any option (clustermesh-behaviour §5.5): labels that change with every roll-out or say where a pod
 * runs would give each replica an identity of its own.
 */
const defaults: readonly string[] = [
  'reserved:.*',
  String.raw`io\.kubernetes\.pod\.namespace`,
  String.raw`io\.cilium\.k8s\.namespace\.labels`,
  String.raw`app\.kubernetes\.io`,
  String.raw`io\.cilium\.k8s\.policy\.cluster`,
  String.raw`io\.cilium\.k8s\.policy\.serviceaccount`,
  String.raw`!io\.kubernetes`,
  String.raw`!kubernetes\.io`,
  String.raw`!.*beta\.kubernetes\.io`,
  String.raw`!k8s\.io`,
  '!pod-template-(generation|hash)',
  '!controller-(revision-hash|uid)',
  '!annotation',
  '!etcd_node',
  String.raw`!statefulset\.kubernetes\.io/pod-name`,
  String.raw`!apps\.kubernetes\.io/pod-index`,
  String.raw`!batch\.kubernetes\.io/(job-completion-index|controller-uid)`,
  // Since 1.35 an API server copies them from the node to each pod; Cilium leaves them out, too (cilium/cilium#43725).
  String.raw`!topology\.kubernetes\.io`,
];

/**
 * The meaning of Cilium's `--labels`: patterns `[source:][!]expression`, added to the defaults. Once one of them includes
 * something (has no `!`), only what some pattern includes counts. Where a label is both included and ignored, the longer
 * match decides.
 * @throws {RangeError} for a pattern that is none, and for patterns that leave out the label by which peers tell whose
 * identity it is.
 */
export function labelFilter(patterns: readonly string[] = []): LabelFilter {
  const own = patterns.map(parsePattern);
  const all = [...defaults.map(parsePattern), ...own];
  const onlyIncluded = own.some(({ ignore }) => !ignore);
  const filter: LabelFilter = (label) => {
    let included = 0;
    let ignored = Number.POSITIVE_INFINITY;
    for (const pattern of all) {
      const length = matchedLength(pattern, label);
      if (length === undefined) continue;
      if (pattern.ignore) ignored = Math.min(ignored, length);
      else included = Math.max(included, length);
    }
    if (ignored === Number.POSITIVE_INFINITY) return !onlyIncluded || included > 0;
    return included > ignored;
  };
  if (!filter({ source: 'k8s', key: clusterLabel, value: '' }))
    throw new RangeError(
      `Label patterns must not leave out ${clusterLabel}: no peer would accept an identity without it`,
    );
  return filter;
}

function matchedLength({ source, expression }: Pattern, label: Label): number | undefined {
  if (source !== '' && source !== label.source) return undefined;
  expression.lastIndex = 0;
  return expression.exec(label.key)?.[0].length;
}

function parsePattern(text: string): Pattern {
  const colon = text.indexOf(':');
  const rest = text.slice(colon + 1);
  const ignore = rest.startsWith('!');
  const expression = ignore ? rest.slice(1) : rest;
  if (expression === '')
    throw new RangeError(`A label pattern must be [source:][!]expression, found ${JSON.stringify(text)}`);
  try {
    // Sticky: a match counts at the start of the key only.
    return { source: colon < 0 ? '' : text.slice(0, colon), ignore, expression: new RegExp(expression, 'y') };
  } catch (cause) {
    throw new RangeError(`The label pattern ${JSON.stringify(text)} must be a regular expression`, { cause });
  }
}
