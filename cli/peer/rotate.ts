import { exchangeWith, exchangesAtATime, issueOwn, renewOwn } from '../../clustermesh/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { atMost } from '../../runtime/tasks/index.ts';
import { defineCommand } from '../command.ts';
import { authorityLines } from './authority-lines.ts';
import { commandLog, folderOption, openFolder } from './folder-option.ts';
import { existingPeer } from './existing-peer.ts';

/** `isthmus peer rotate` */
export const peerRotate = defineCommand({
  description:
    'Renews certificates although they are not due: all that this cluster keeps and what it shows to its peers, or with NAME\nonly what it shows to that one. No connection ends: files are replaced, what is new counts from the next connection on.\nWith --authority the authority is renewed, in stages that the apiserver goes through by itself: the new one is trusted\nfirst; once every peer knows it, and after a day, it signs; the old one goes when no certificate of it can be valid.',
  options: defineOptions({
    ...folderOption,
    authority: { type: 'boolean', help: 'Begin to renew the authority, too' },
  }),
  positionals: { usage: '[NAME]', min: 0, max: 1 },
  examples: ['isthmus peer rotate', 'isthmus peer rotate --authority', 'isthmus peer rotate west'],
  ends: true,
  run: async (context, { options, positionals: [name] }) => {
    const folder = await openFolder(context, options);
    const { clock, signal } = context;
    const { external } = folder.authority;
    if (options.authority && external !== undefined)
      throw new UsageError('--authority renews an authority of our own, and this cluster has one of somebody else’s', {
        option: '--authority',
        hint: `it is followed: replace tls.crt and tls.key in ${external}`,
      });
    const log = commandLog(context);
    if (name === undefined)
      await folder.change(async () => {
        for (const one of await folder.certificateNames()) await issueOwn(folder, one, clock.now());
      });
    if (options.authority)
      await folder.change(async () => {
        const state = await folder.authority.read();
        if (state && !state.next) await folder.authority.writeNotes({ ...state.notes, rotationWanted: true });
      });
    await renewOwn(folder, { clock, log });
    const peers = name === undefined ? await folder.peers() : [await existingPeer(folder, name)];
    let failed = false;
    const askable = peers.filter(({ kind }) => kind === 'isthmus');
    await atMost(exchangesAtATime, askable, async (peer) => {
      try {
        await exchangeWith(folder, peer.name, { clock, signal, always: true });
        context.stdout(`Renewed what is shown to ${peer.name}\n`);
      } catch (error) {
        signal.throwIfAborted();
        failed = true;
        context.stderr(`isthmus: ${error instanceof Error ? error.message : String(error)}\n`);
      }
    });
    if (name === undefined) context.stdout(`Renewed the certificates of ${folder.own.name}\n`);
    for (const line of await authorityLines(folder, clock.now())) context.stdout(`${line}\n`);
    return failed ? 1 : 0;
  },
});
