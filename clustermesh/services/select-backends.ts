import type { Affinity } from './annotations.ts';
import type { MeshBackend } from './service-backends.ts';

export interface SelectionRule {
  readonly global: boolean;
  readonly affinity: Affinity;
  /** Traffic policy `Local`: only backends of this node, and those without a node name (remote ones). */
  readonly onlyNode?: string;
}

/**
 * The backends that a frontend uses (clustermesh-behaviour §5.4). Terminating ones are part of it: the datapath uses them
 * only while no active one is left. With a preference, the other side takes over when the preferred one has nothing that
 * can take new connections: terminating local backends do not keep remote ones out, but they do take over for `remote`.
 */
export function selectBackends(backends: readonly MeshBackend[], rule: SelectionRule): readonly MeshBackend[] {
  const allowed =
    rule.onlyNode === undefined
      ? backends
      : backends.filter(({ nodeName }) => nodeName === undefined || nodeName === rule.onlyNode);
  const local = allowed.filter(({ remote }) => !remote);
  if (!rule.global) return local;
  const remote = allowed.filter((backend) => backend.remote);
  switch (rule.affinity) {
    case 'none':
      return allowed;
    case 'local':
      return local.some(({ state }) => state === 'active') ? local : [...local, ...remote];
    case 'remote':
      return remote.length > 0 ? remote : local;
  }
}
