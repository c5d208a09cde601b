import { identityQuestionKey } from '../../clustermesh/index.ts';
import { type Store, toText } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';

export interface IdentityQuestionDeps {
  readonly store: Pick<Store, 'listAndWatch'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly asked: (question: string, signal: AbortSignal) => Promise<void>;
}

/**
 * Hears, until `signal` aborts, whoever asks which identities are in use. No mark is waited for, as for other records:
 * those who would set it wait for the answer.
 */
export async function followIdentityQuestion(deps: IdentityQuestionDeps, signal: AbortSignal): Promise<void> {
  const { store, clock, log, asked } = deps;
  const follow = async (running: AbortSignal): Promise<void> => {
    for await (const batch of store.listAndWatch(identityQuestionKey, { signal: running })) {
      if (batch.type !== 'changes') continue;
      for (const event of batch.events)
        if (event.type === 'put' && toText(event.entry.key) === identityQuestionKey)
          await asked(toText(event.entry.value), running);
    }
    running.throwIfAborted();
    throw new Error('Following the question has ended');
  };
  await retry(follow, {
    clock,
    signal,
    schedule: exponential({ firstMs: 200, maxMs: 10_000 }),
    onFailure: (error, attempt) =>
      log.warn('Cannot hear who asks for identities in use, will be repeated', {
        [fields.error]: error,
        [fields.attempt]: attempt,
      }),
  });
}
