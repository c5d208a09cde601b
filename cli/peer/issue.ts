import { isCertificateName, issueOwn } from '../../clustermesh/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { folderOption, openFolder } from './folder-option.ts';

/** `isthmus peer issue NAME` */
export const peerIssue = defineCommand({
  description:
    'Makes a certificate of the own authority: agent-NODE for the agent of a node, which may then write what is its own, or\nserver, admin, local, remote anew. Its files (tls.crt, tls.key, ca.crt) are kept in the folder, and renewed there by the\napiserver; bring them to the node again whenever they change.',
  options: defineOptions({ ...folderOption }),
  positionals: { usage: 'agent-NODE|server|admin|local|remote', min: 1, max: 1 },
  examples: ['isthmus peer issue agent-node-1'],
  ends: true,
  run: async (context, { options, positionals: [name = ''] }) => {
    if (!isCertificateName(name))
      throw new UsageError(`There is no certificate ${JSON.stringify(name)}`, {
        hint: 'agent-NODE, server, admin, local or remote',
      });
    const folder = await openFolder(context, options);
    await folder.change(() => issueOwn(folder, name, context.clock.now()));
    const { certFile, keyFile, caFile } = folder.paths.certificate(name);
    context.stdout(`trusted-ca-file: ${caFile}\ncert-file: ${certFile}\nkey-file: ${keyFile}\n`);
    return 0;
  },
});
