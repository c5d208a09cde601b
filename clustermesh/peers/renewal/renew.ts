import type { Clock } from '../../../runtime/clock/index.ts';
import type { Logger } from '../../../runtime/log/index.ts';
import type { PeerFolder } from '../folder/index.ts';
import { renewalFacts } from './facts.ts';
import { type RenewalStep, renewalSteps } from './steps.ts';
import { type LocalStep, takeStep } from './take-step.ts';

/** Each round does what the one before has made possible: authority, certificates, and once more to see that all is done. */
const maxRounds = 6;

/**
 * Does everything that needs nobody else, and says which peers are to be asked. A clean folder is filled: authority and
 * standing certificates. Invitations that have expired go.
 */
export async function renewOwn(
  folder: PeerFolder,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<readonly Extract<RenewalStep, { readonly kind: 'exchange' }>[]> {
  return await folder.change(async () => {
    for (let round = 1; ; round++) {
      const steps = renewalSteps(await renewalFacts(folder), clock.now());
      const own = steps.filter((step): step is LocalStep => step.kind !== 'exchange');
      for (const step of own) await takeStep(folder, step, clock.now(), log);
      if (own.length > 0 && round < maxRounds) continue;
      await folder.writeTrusted();
      await folder.derive();
      for (const { id, expiresMs } of await folder.invitations())
        if (expiresMs < clock.now()) await folder.removeInvitation(id);
      const revoked = await folder.revoked();
      const lasting = revoked.filter(({ notAfterMs }) => notAfterMs >= clock.now());
      if (lasting.length < revoked.length) await folder.putRevoked(lasting);
      return steps.filter((step) => step.kind === 'exchange');
    }
  });
}
