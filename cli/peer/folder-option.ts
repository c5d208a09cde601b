import { PeerFolder } from '../../clustermesh/index.ts';
import { type Logger, createLogger } from '../../runtime/log/index.ts';
import { defineOptions } from '../../runtime/options/index.ts';
import type { CommandContext } from '../command.ts';

export const defaultPeerFolder = '/var/lib/isthmus/peers';

/** Which folder a command about peers works on. */
export const folderOption = defineOptions({
  'peer-dir': {
    type: 'string',
    default: defaultPeerFolder,
    placeholder: 'DIR',
    help: "Folder of the cluster's certificates and peers; isthmus peer init makes it",
  },
});

/** @throws {PeerFolderError} where there is none yet */
export async function openFolder(context: CommandContext, values: { readonly peerDir: string }): Promise<PeerFolder> {
  process.umask(0o077);
  return await PeerFolder.open(values.peerDir, context.clock);
}

/** Warnings of what a command does, on standard error; what went well is said by the command itself. */
export function commandLog({ clock, stderr }: CommandContext): Logger {
  return createLogger({ level: 'warn', format: 'text', clock, write: stderr }, { component: 'peer' });
}
