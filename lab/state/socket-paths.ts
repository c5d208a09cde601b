import { type LabPaths, apiserverPaths, nodePaths } from './lab-directory.ts';

/** Bytes of a Unix socket's path, the closing zero aside (unix(7)). */
const longestPath = 107;

/** The names of a lab, its clusters and nodes do not fit into the path of a socket. */
export class SocketPathError extends Error {
  override readonly name = 'SocketPathError';

  constructor(path: string) {
    super(
      `The names of lab, cluster and node are too long together: ${path} has ${Buffer.byteLength(path)} bytes, ` +
        `expected at most ${longestPath} (the kernel takes no longer path of a socket)`,
    );
  }
}

/** @throws {SocketPathError} for the first socket of a lab that could not be made. */
export function requireSocketPaths(
  lab: LabPaths,
  clusters: readonly { readonly name: string; readonly nodes: readonly string[] }[],
): void {
  const sockets = clusters.flatMap(({ name, nodes }) => {
    const { apiSocket, sourceSocket } = apiserverPaths(lab, name);
    return [apiSocket, sourceSocket, ...nodes.map((node) => nodePaths(lab, name, node).apiSocket)];
  });
  const long = [lab.controlSocket, ...sockets].find((path) => Buffer.byteLength(path) > longestPath);
  if (long !== undefined) throw new SocketPathError(long);
}
