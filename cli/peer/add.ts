import { addCilium, readCilium } from '../../clustermesh/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { readInput } from '../read-input.ts';
import { folderOption, openFolder } from './folder-option.ts';

/** `isthmus peer add --from-cilium FILE` */
export const peerAdd = defineCommand({
  description:
    'Follows a cluster that runs Cilium and cannot run our commands. FILE holds Secrets of one that follows it (kubectl get\nsecret -n kube-system cilium-kvstoremesh clustermesh-apiserver-remote-cert -o yaml: a file for each cluster, and\ncredentials), or Helm values with clustermesh.config.clusters; - is standard input.\nThat it can follow us: isthmus peer invite NAME --for cilium.',
  options: defineOptions({
    ...folderOption,
    'from-cilium': {
      type: 'string',
      required: true,
      placeholder: 'FILE',
      help: 'Secret or Helm values; - for standard input',
    },
    id: { type: 'number', min: 1, max: 511, help: 'Its cluster id, so that others with the same one are refused' },
  }),
  positionals: { usage: '[NAME]', min: 0, max: 1 },
  examples: ['isthmus peer add north --id 3 --from-cilium north.yaml'],
  ends: true,
  run: async (context, { options, positionals: [name] }) => {
    const folder = await openFolder(context, options);
    const file = options.fromCilium;
    const remote = readCilium(await readInput(context, file), file === '-' ? 'Standard input' : file, name);
    if (name === undefined && remote.name === folder.own.name)
      throw new UsageError(`${file} tells how to reach ${remote.name}, which is this cluster`);
    await addCilium(folder, remote, { id: options.id, nowMs: context.clock.now() });
    context.stdout(`${folder.own.name} follows ${remote.name} at ${remote.endpoints.join(', ')}\n`);
    return 0;
  },
});
