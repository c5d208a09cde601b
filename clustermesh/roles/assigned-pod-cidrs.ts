import type { Engine } from '../../kvstore/index.ts';
import { toBytes } from '../../kvstore/index.ts';
import type { Prefix } from '../../values/ip/index.ts';
import { decodeNodeAssignment, nodeAssignmentKey } from '../wire/index.ts';

/**
 * The pod CIDRs of a node as its cluster's apiserver has assigned them, read from the store itself: an agent may write
 * what it is told it has, from the moment on that it can be told.
 */
export function assignedPodCidrs(
  engine: Pick<Engine, 'range' | 'revision'>,
): (node: string) => Promise<readonly Prefix[]> {
  // A transaction asks for the same node many times, at the same revision.
  let last:
    | { readonly node: string; readonly revision: number; readonly cidrs: Promise<readonly Prefix[]> }
    | undefined;
  return (node) => {
    const { revision } = engine;
    if (last?.node === node && last.revision === revision) return last.cidrs;
    const asked = { node, revision, cidrs: read(engine, node) };
    last = asked;
    // A read that failed is tried again.
    asked.cidrs.catch(() => {
      if (last === asked) last = undefined;
    });
    return asked.cidrs;
  };
}

async function read(engine: Pick<Engine, 'range'>, node: string): Promise<readonly Prefix[]> {
  const { kvs } = await engine.range({ key: toBytes(nodeAssignmentKey(node)) });
  const [entry] = kvs;
  if (!entry) return [];
  try {
    return decodeNodeAssignment(node, entry.value).podCidrs;
  } catch {
    // Whoever wrote it hears of it elsewhere; nothing may be written by what nobody understands.
    return [];
  }
}
