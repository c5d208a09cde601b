import { isCertificateName, revokeFingerprint, revokeOwn } from '../../clustermesh/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { defineCommand } from '../command.ts';
import { folderOption, openFolder } from './folder-option.ts';

/** `isthmus peer revoke NAME|FINGERPRINT` */
export const peerRevoke = defineCommand({
  description:
    'Takes a certificate of the own authority back before it expires: whoever shows it is refused, and what it has open ends\nwithin five seconds. A certificate that is kept here goes by its name (agent-NODE; server, admin, local and remote are made anew),\nany other by its SHA-256 fingerprint. What a peer was given is taken back by isthmus peer leave.',
  options: defineOptions({ ...folderOption }),
  positionals: { usage: 'NAME|FINGERPRINT', min: 1, max: 1 },
  examples: ['isthmus peer revoke agent-node-1'],
  ends: true,
  run: async (context, { options, positionals: [which = ''] }) => {
    const folder = await openFolder(context, options);
    const nowMs = context.clock.now();
    const hex = which.replaceAll(':', '').toUpperCase();
    if (/^[0-9A-F]{64}$/.test(hex)) {
      const fingerprint = hex.match(/../g)?.join(':') ?? '';
      await revokeFingerprint(folder, fingerprint, nowMs);
      context.stdout(`Took back ${fingerprint}\n`);
      return 0;
    }
    const fingerprint = isCertificateName(which) ? await revokeOwn(folder, which, nowMs) : undefined;
    if (fingerprint === undefined)
      throw new UsageError(`There is no certificate ${JSON.stringify(which)}`, {
        hint: `a SHA-256 fingerprint, or one of ${(await folder.certificateNames()).join(', ')}`,
      });
    context.stdout(`Took back ${which} (${fingerprint})\n`);
    return 0;
  },
});
