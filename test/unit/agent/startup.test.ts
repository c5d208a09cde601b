import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Startup } from '../../../agent/startup.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { createLogger } from '../../../runtime/log/index.ts';
import { Condition } from '../../../runtime/tasks/index.ts';

const second = 1_000;

let clock: VirtualClock;
let changed: Condition;
let missing: string[];
let localListed: boolean;
/** What was done, and what was warned of, in order. */
let events: string[];
let stop: AbortController;
let running: Promise<unknown>;

beforeEach(() => {
  clock = new VirtualClock();
  changed = new Condition();
  missing = ['cluster west (no connection)', 'cluster north (listing of ip)'];
  localListed = true;
  events = [];
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort(new DOMException('stopped', 'AbortError'));
  await running;
});

function begin(fresh: boolean): Startup {
  const startup = new Startup(fresh, {
    loop: {
      audit: async () => void events.push('audit'),
      prune: async () => void events.push('prune'),
    },
    changed,
    localListed: () => localListed,
    known: () => missing.length === 0,
    waitingFor: () => missing,
    clock,
    log: createLogger({
      level: 'warn',
      format: 'json',
      clock,
      write: (text) => {
        const { msg, waitingFor } = JSON.parse(text) as { readonly msg: string; readonly waitingFor?: string[] };
        events.push(`${msg.split(':')[0]}: ${waitingFor?.join(', ')}`);
      },
    }),
    syncTimeoutMs: 60 * second,
  });
  running = startup.run(stop.signal).catch(() => undefined);
  return startup;
}
async function pass(ms: number): Promise<void> {
  for (let i = 0; i < 20; i++) await clock.advance(ms / 20);
}
async function learn(...still: readonly string[]): Promise<void> {
  missing = [...still];
  changed.notify();
  await pass(0);
}

describe('An agent that takes over a running node', () => {
  test('touches nothing before it knows its own cluster, and no global service before the others were read', async () => {
    localListed = false;
    const startup = begin(false);
    await pass(30 * second);
    expect(startup).toMatchObject({ acting: false, globalServices: false, ready: false });
    expect(events).toEqual([]);
    localListed = true;
    await learn(...missing);
    await pass(6 * second);
    expect(startup).toMatchObject({ acting: true, globalServices: false, ready: false });
    expect(events).toEqual(['audit']);
    await learn();
    expect(startup).toMatchObject({ acting: true, globalServices: true, ready: true });
    await pass(2 * second);
    expect(events).toEqual(['audit', 'audit', 'prune']);
  });

  test('goes on when the time is over, says what it waited for, and removes nothing until that was read', async () => {
    const startup = begin(false);
    await pass(58 * second);
    expect(startup).toMatchObject({ globalServices: false, ready: false });
    missing = ['cluster west (no connection)'];
    await pass(3 * second);
    expect(startup).toMatchObject({ globalServices: true, ready: true });
    expect(events).toEqual(['audit', 'Going on with what is known: cluster west (no connection)', 'audit']);
    await pass(3600 * second);
    expect(events).not.toContain('prune');
    await learn();
    await pass(2 * second);
    expect(events.at(-1)).toBe('prune');
  });
});

test('A fresh node is written to as things become known, and is ready once all were', async () => {
  const startup = begin(true);
  await pass(10 * second);
  expect(startup).toMatchObject({ acting: true, globalServices: true, ready: false });
  expect(events).toEqual([]);
  await learn();
  expect(startup.ready).toBe(true);
  expect(events).toEqual(['audit']);
});
