import { defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { formatJson, formatTree, outputOptions } from '../output/index.ts';
import { describePeer } from './describe.ts';
import { folderOption, openFolder } from './folder-option.ts';
import { existingPeer } from './existing-peer.ts';

/** `isthmus peer show NAME` */
export const peerShow = defineCommand({
  description: 'Says all that is kept of a peer. Nothing of it is secret.',
  options: defineOptions({ ...folderOption, ...outputOptions }),
  positionals: { usage: 'NAME', min: 1, max: 1 },
  examples: ['isthmus peer show west -o json'],
  ends: true,
  run: async (context, { options, positionals: [name = ''] }) => {
    const folder = await openFolder(context, options);
    const described = await describePeer(folder, await existingPeer(folder, name), context.clock.now());
    context.stdout(options.output === 'json' ? formatJson(described) : formatTree(described));
    return described.problems.length > 0 ? 1 : 0;
  },
});
