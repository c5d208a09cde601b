import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { NamespaceHandle } from '../../kernel/index.ts';
import type { LoadRequest, LoadResult } from './messages.ts';
import { request } from './pod-client.ts';

/** More than this at a time would measure the client. */
const maxInFlight = 64;

/**
 * Sends requests at an even rate and says who answered and how long the longest silence was. The silence before the
 * first and after the last answer counts as well.
 */
export async function runLoad(netns: NamespaceHandle, load: LoadRequest): Promise<LoadResult> {
  const answeredBy: Record<string, number> = {};
  const errors: Record<string, number> = {};
  const started = performance.now();
  let lastAnswer = started;
  let longestGapMs = 0;
  let failed = 0;
  const inFlight = new Set<Promise<void>>();
  const one = async (): Promise<void> => {
    try {
      const answer = await request(netns, load, load.timeoutMs);
      const from = `${answer.cluster}/${answer.pod}`;
      answeredBy[from] = (answeredBy[from] ?? 0) + 1;
      const now = performance.now();
      longestGapMs = Math.max(longestGapMs, now - lastAnswer);
      lastAnswer = now;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      errors[text] = (errors[text] ?? 0) + 1;
      failed++;
    }
  };
  for (let sent = 0; sent < load.requests; sent++) {
    const due = started + (sent * 1000) / load.ratePerSecond;
    const early = due - performance.now();
    // One that is late lets the event loop turn: it accepts one connection of a server in a turn, and the server that is
    // to answer may live in this very process. Requests sent in one go would fill its queue faster than it can empty it.
    await (early > 1 ? sleep(early) : nextTurn());
    while (inFlight.size >= maxInFlight) await Promise.race(inFlight);
    const running = one().finally(() => inFlight.delete(running));
    inFlight.add(running);
  }
  await Promise.all(inFlight);
  const ended = performance.now();
  return {
    requests: load.requests,
    failed,
    answeredBy,
    longestGapMs: Math.max(longestGapMs, ended - lastAnswer),
    durationMs: ended - started,
    errors,
  };
}
