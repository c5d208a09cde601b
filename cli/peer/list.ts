import { defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { formatJson, formatTable, outputOptions } from '../output/index.ts';
import { authorityText, describeAuthority } from './authority-lines.ts';
import { type PeerDescription, describePeer } from './describe.ts';
import { folderOption, openFolder } from './folder-option.ts';

/** `isthmus peer list` */
export const peerList = defineCommand({
  description:
    'Lists the peers of this cluster, and who is invited. Whether they are connected says isthmus status of an agent.\nThe exit code is 1 when a peer has a problem that somebody should look at.',
  options: defineOptions({ ...folderOption, ...outputOptions }),
  ends: true,
  run: async (context, { options }) => {
    const folder = await openFolder(context, options);
    const nowMs = context.clock.now();
    const peers = await Promise.all((await folder.peers()).map((peer) => describePeer(folder, peer, nowMs)));
    const invited = (await folder.invitations())
      .filter(({ expiresMs }) => expiresMs > nowMs)
      .map(({ name, clusterId, expiresMs, failures }) => ({
        name,
        id: clusterId,
        expires: new Date(expiresMs).toISOString(),
        failures,
      }));
    const authority = await describeAuthority(folder, nowMs);
    if (options.output === 'json')
      context.stdout(formatJson({ cluster: folder.own.name, ...(authority ? { authority } : {}), peers, invited }));
    else {
      context.stdout(
        formatTable<PeerDescription>(
          [
            { title: 'NAME', text: ({ name }) => name },
            { title: 'ID', text: ({ id }) => (id === 0 ? undefined : id), align: 'right' },
            { title: 'KIND', text: ({ kind }) => kind },
            { title: 'ENDPOINTS', text: ({ endpoints }) => endpoints.join(',') },
            { title: 'OURS EXPIRES', text: ({ ours }) => ours?.notAfter },
            { title: 'PROBLEMS', text: ({ problems }) => problems.join('; ') },
          ],
          peers,
        ),
      );
      for (const { name, id, expires } of invited) context.stdout(`invited: ${name} (id ${id}), until ${expires}\n`);
      for (const line of authorityText(authority)) context.stdout(`${line}\n`);
    }
    return peers.some(({ problems }) => problems.length > 0) ? 1 : 0;
  },
});
