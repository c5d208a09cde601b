import { formatBundle, invite } from '../../clustermesh/index.ts';
import { replaceFile } from '../../runtime/files/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { requireClusterName } from './cluster-argument.ts';
import { inviteCilium } from './invite-cilium.ts';
import { folderOption, openFolder } from './folder-option.ts';

/** Long enough for whoever carries it by hand; what is worth as much as a key does not lie about for longer. */
const longestValidMs = 30 * 24 * 3_600_000;

/** `isthmus peer invite NAME` */
export const peerInvite = defineCommand({
  description:
    'Writes an invitation for the cluster NAME: where our store is and by which authority it is known, and a token that works\nonce. Whoever holds it can become that peer until it is used or expires, so hand it over as you would a key:\n\n  isthmus peer invite west --id 2 | ssh west isthmus peer accept\n\nA second invitation for the same cluster takes the first one back. The apiserver of this cluster answers at --peer-listen.\nWith --for cilium it writes the Secret and the Helm values by which a cluster that runs Cilium follows us.',
  options: defineOptions({
    ...folderOption,
    id: {
      type: 'number',
      min: 1,
      max: 511,
      help: 'Id of that cluster; it is let in with this one only. The least that is free unless given',
    },
    'valid-for': { type: 'duration', default: '1h', help: 'How long the invitation can be accepted; 720h at most' },
    out: {
      type: 'string',
      placeholder: 'FILE',
      help: 'Write to FILE, readable by its owner alone, instead of standard output',
    },
    for: {
      type: 'choice',
      choices: ['isthmus', 'cilium'],
      default: 'isthmus',
      help: 'What that cluster runs',
    },
    'cilium-namespace': { type: 'string', default: 'kube-system', help: 'With --for cilium: namespace of its Secrets' },
  }),
  positionals: { usage: 'NAME', min: 1, max: 1 },
  examples: [
    'isthmus peer invite west --id 2 --out west.invitation',
    'isthmus peer invite north --id 3 --for cilium | kubectl --context north apply -f -',
  ],
  ends: true,
  run: async (context, { options, positionals: [name = ''] }) => {
    requireClusterName(name);
    if (options.validForMs === 0 || options.validForMs > longestValidMs)
      throw new UsageError('--valid-for expects more than nothing, and 720h at most', { option: '--valid-for' });
    const folder = await openFolder(context, options);
    const nowMs = context.clock.now();
    const text =
      options.for === 'cilium'
        ? await inviteCilium(folder, { name, id: options.id, namespace: options.ciliumNamespace, nowMs })
        : formatBundle(await invite(folder, { name, id: options.id, nowMs, validForMs: options.validForMs }));
    if (options.out === undefined) context.stdout(text);
    else {
      await replaceFile(options.out, text, 0o600);
      context.stdout(`${options.out} is for ${name} alone\n`);
    }
    return 0;
  },
});
