import { acceptInvitation, parseBundle } from '../../clustermesh/index.ts';
import { defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { formatJson, outputOptions } from '../output/index.ts';
import { readInput } from '../read-input.ts';
import { folderOption, openFolder } from './folder-option.ts';
import { describePeer } from './describe.ts';

/** `isthmus peer accept < INVITATION` */
export const peerAccept = defineCommand({
  description:
    'Reads an invitation from standard input, or from FILE, and becomes the peer of the cluster that has written it. Nothing is\nsent before the other end has shown a certificate of the authority that stands in the invitation. Both clusters then hold a\ncertificate by which they may read of the other what peers may read, and nothing more; agents and kvstoremesh that follow\nDIR/clustermesh connect by themselves. If it breaks off, the same invitation works again.',
  options: defineOptions({ ...folderOption, ...outputOptions }),
  positionals: { usage: '[FILE]', min: 0, max: 1 },
  examples: ['isthmus peer accept < east.invitation', 'ssh east isthmus peer invite west --id 2 | isthmus peer accept'],
  ends: true,
  run: async (context, { options, positionals: [file = '-'] }) => {
    const folder = await openFolder(context, options);
    const bundle = parseBundle(await readInput(context, file));
    const peer = await acceptInvitation(folder, bundle, context);
    if (options.output === 'json') context.stdout(formatJson(await describePeer(folder, peer, context.clock.now())));
    else context.stdout(`${folder.own.name} and ${peer.name} are peers\n`);
    return 0;
  },
});
