import { type AppliedPeer, applyPeers, parsePeerObjects } from '../clustermesh/index.ts';
import { UsageError, defineOptions } from '../runtime/options/index.ts';
import { defineCommand } from './command.ts';
import { formatJson, formatTable, outputOptions } from './output/index.ts';
import { folderOption, openFolder } from './peer/folder-option.ts';
import { readInput } from './read-input.ts';

/** `isthmus apply -f FILE` */
export const apply = defineCommand({
  description:
    "Makes the peers of this cluster what FILE declares (YAML, kind Peer; docs/operations.md). Nothing in such a file is secret,\nso that it can stand in Git: clusters that list each other's authorities are peers without an invitation. Applied again, it\nchanges nothing. All of it is checked before any of it is done.",
  options: defineOptions({
    ...folderOption,
    file: {
      type: 'string',
      short: 'f',
      required: true,
      placeholder: 'FILE',
      help: 'What to apply; - is standard input',
    },
    'dry-run': { type: 'boolean', help: 'Only say what would change; the exit code is 1 when anything would' },
    'allow-empty': {
      type: 'boolean',
      help: 'A file without any object means just that: with --prune, that no declared peer stays',
    },
    prune: { type: 'boolean', help: 'Forget peers that such a file has declared, and that stand in it no more' },
    ...outputOptions,
  }),
  examples: ['isthmus apply -f peers.yaml --dry-run', 'isthmus apply -f peers.yaml'],
  ends: true,
  run: async (context, { options }) => {
    const folder = await openFolder(context, options);
    const file = options.file === '-' ? 'Standard input' : options.file;
    const objects = parsePeerObjects(await readInput(context, options.file), file);
    // A pipe whose first end has failed says nothing either.
    if (objects.length === 0 && !options.allowEmpty)
      throw new UsageError(`${file} declares nothing`, {
        option: '--file',
        hint: options.prune
          ? '--prune would forget every declared peer: --allow-empty says that this is meant'
          : 'expected YAML documents of kind Peer; --allow-empty says that none are meant',
      });
    const { dryRun, prune } = options;
    const applied = await applyPeers(folder, objects, { file, nowMs: context.clock.now(), dryRun, prune });
    if (options.output === 'json') context.stdout(formatJson({ dryRun, peers: applied }));
    else
      context.stdout(
        formatTable<AppliedPeer>(
          [
            { title: 'PEER', text: ({ name }) => name },
            { title: dryRun ? 'WOULD' : 'DONE', text: ({ action }) => action },
            { title: 'FIELDS', text: ({ fields }) => fields.join(',') },
          ],
          applied,
        ),
      );
    return dryRun && applied.some(({ action }) => action !== 'none') ? 1 : 0;
  },
});
