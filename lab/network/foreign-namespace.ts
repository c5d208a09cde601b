import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** A network namespace that the lab would make is there already, and not of this lab. */
export class ForeignNamespaceError extends Error {
  override readonly name = 'ForeignNamespaceError';

  constructor(namespace: string) {
    super(
      `Network namespace ${namespace} is there already and belongs to somebody else, such as a lab of a similar name; choose another --name, or remove it: ip netns delete ${namespace}`,
    );
  }
}

/**
 * To be called before the state file lists them: cleaning removes whatever stands there. A dead lab's are gone by then.
 * @throws {ForeignNamespaceError}
 */
export function requireUnmade(namespaces: readonly string[], directory = '/run/netns'): void {
  const taken = namespaces.find((name) => existsSync(join(directory, name)));
  if (taken !== undefined) throw new ForeignNamespaceError(taken);
}
