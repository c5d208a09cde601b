import { shownLine } from './output/index.ts';
import type { Diagnosis, Finding } from '../clustermesh/index.ts';

const marks: Readonly<Record<Finding['state'], string>> = { ok: '✅', warning: '⚠️ ', broken: '❌' };
const width = 'cluster-config'.length;

/** A diagnosis for people: a line a layer, then what is broken and what to do next. */
export function diagnosisText({ cluster, path, ok, broken, cause, next, findings }: Diagnosis): string {
  const several = new Set(findings.flatMap(({ endpoint }) => endpoint ?? [])).size > 1;
  const lines = findings.map(({ layer, state, detail, endpoint }) => {
    const where = several && endpoint !== undefined ? `${endpoint}: ` : '';
    return `  ${marks[state]} ${layer.padEnd(width)}  ${where}${detail}`;
  });
  const end = ok ? [] : [`  Broken at ${broken ?? 'unknown'}: ${cause ?? ''}`, ...(next ? [`  Next: ${next}`] : [])];
  return [`Cluster "${cluster}" (${path}): ${ok ? 'every layer answers' : `broken at ${broken}`}`, ...lines, ...end]
    .map((line) => `${shownLine(line)}\n`)
    .join('');
}
