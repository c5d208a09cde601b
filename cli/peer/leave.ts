import { isClusterName, leavePeer } from '../../clustermesh/index.ts';
import { defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { folderOption, openFolder } from './folder-option.ts';
import { existingPeer } from './existing-peer.ts';

/** `isthmus peer leave NAME` */
export const peerLeave = defineCommand({
  description:
    'Ends it with a peer, on both sides: its user, its certificates and its configuration go, open connections of it end within\nfive seconds, and agents remove what they knew of it. With --dead it is not told, and nothing is left behind on our side\nall the same; on its side isthmus peer leave has to be called, should it ever come back. An invitation goes, too.',
  options: defineOptions({
    ...folderOption,
    dead: { type: 'boolean', help: 'Do not try to tell the peer' },
  }),
  positionals: { usage: 'NAME', min: 1, max: 1 },
  ends: true,
  run: async (context, { options, positionals: [name = ''] }) => {
    const folder = await openFolder(context, options);
    const invitations = (await folder.invitations()).filter((one) => one.name === name);
    for (const { id } of invitations) await folder.change(() => folder.removeInvitation(id));
    if (isClusterName(name) && !(await folder.peer(name))) {
      // An acceptance that broke off, and will not be tried again, leaves a key behind.
      const begun = await folder.hasTraces(name);
      if (begun) await folder.change(() => folder.removePeer(name));
      if (invitations.length > 0) context.stdout(`${name} is not invited any more\n`);
      if (begun) context.stdout(`What was begun with ${name} is forgotten here\n`);
      if (begun || invitations.length > 0) return 0;
    }
    await existingPeer(folder, name);
    try {
      const left = await leavePeer(folder, name, { dead: options.dead, ...context });
      context.stdout(
        left === 'both'
          ? `${folder.own.name} and ${name} are no peers any more\n`
          : `${name} is forgotten here; it was not told\n`,
      );
      return 0;
    } catch (error) {
      context.signal.throwIfAborted();
      const words = error instanceof Error ? error.message : String(error);
      throw Object.assign(new Error(words, { cause: error }), {
        hint: `nothing was changed; isthmus peer leave ${name} --dead forgets it without telling it`,
      });
    }
  },
});
