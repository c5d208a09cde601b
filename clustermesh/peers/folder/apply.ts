import { isDeepStrictEqual } from 'node:util';
import { trustedOf } from './authority.ts';
import { AuthorityHolders, refuseConflict } from './conflicts.ts';
import type { PeerFolder } from './peer-folder.ts';
import { type PeerObject, declaredPeer } from './peer-object.ts';
import type { PeerRecord } from './peer-record.ts';

/** What a file changes about one peer. */
export interface AppliedPeer {
  readonly name: string;
  readonly action: 'create' | 'change' | 'none' | 'remove';
  /** Members that differ. */
  readonly fields: readonly string[];
}

export interface ApplyOptions {
  readonly file: string;
  readonly nowMs: number;
  /** Say what would be done, and do nothing. */
  readonly dryRun: boolean;
  /** Forget declared peers that stand in the file no more. */
  readonly prune: boolean;
}

/**
 * Makes peers what a file declares. Everything is checked before anything is written; done again, it changes nothing.
 * @throws {PeerDocumentError} {@link PeerConflictError}
 */
export async function applyPeers(
  folder: PeerFolder,
  objects: readonly PeerObject[],
  { file, nowMs, dryRun, prune }: ApplyOptions,
): Promise<readonly AppliedPeer[]> {
  return await folder.change(async () => {
    const before = await folder.peers();
    const removed = prune
      ? before.filter(({ name, kind }) => kind === 'declared' && !objects.some((one) => one.name === name))
      : [];
    const kept = before.filter((peer) => !removed.includes(peer));
    const plan: { readonly applied: AppliedPeer; readonly record: PeerRecord }[] = [];
    const invitations = await folder.openInvitations(nowMs);
    const state = await folder.authority.read();
    const holders = new AuthorityHolders(folder.own.name, state ? trustedOf(state) : '');
    // What stands in the file counts as it stands there: two peers may exchange their ids.
    const untouched = kept.filter(({ name }) => !objects.some((object) => object.name === name));
    for (const peer of untouched) holders.add(peer);
    for (const object of objects) {
      const known = kept.find(({ name }) => name === object.name);
      const record = declaredPeer(object, known, nowMs, file);
      const peers = [...untouched, ...plan.map((one) => one.record)];
      if (record.id !== 0) refuseConflict(record, folder.own, { peers, invitations });
      holders.add(record);
      const fields = known ? changedFields(known, record) : [];
      plan.push({
        record,
        applied: { name: object.name, action: known ? (fields.length > 0 ? 'change' : 'none') : 'create', fields },
      });
    }
    if (!dryRun) {
      if (removed.length > 0) await folder.removePeer(...removed.map(({ name }) => name));
      const changed = plan.filter(({ applied }) => applied.action !== 'none');
      for (const { record } of changed) await folder.writePeer(record);
      // Once for all: it looks at every peer, and there may be half a thousand. Also of what one has left that was killed in between.
      await folder.derive();
    }
    const gone = removed.map(({ name }) => ({ name, action: 'remove' as const, fields: [] }));
    return [...plan.map(({ applied }) => applied), ...gone].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  });
}

function changedFields(before: PeerRecord, after: PeerRecord): readonly string[] {
  const keys = Object.keys(after) as (keyof PeerRecord)[];
  return keys.filter((key) => !isDeepStrictEqual(before[key], after[key])).toSorted();
}
