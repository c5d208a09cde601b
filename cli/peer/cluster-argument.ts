import { isClusterName } from '../../clustermesh/index.ts';
import { UsageError } from '../../runtime/options/index.ts';

/** @throws {UsageError} for a text that no cluster is called */
export function requireClusterName(name: string): void {
  if (isClusterName(name) && name !== 'default') return;
  throw new UsageError(`${JSON.stringify(name)} is no cluster name`, {
    hint: 'at most 32 lower-case letters, digits and hyphens, with a letter or digit at both ends; not "default"',
  });
}
