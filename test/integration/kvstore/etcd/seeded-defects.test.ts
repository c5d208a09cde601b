import { describe, expect, jest, test } from '@jest/globals';
import { type Store, UnavailableError, toBytes, toText } from '../../../../kvstore/index.ts';
import { Position, follow } from '../../../../kvstore/etcd/list-watch/index.ts';
import { EtcdSession } from '../../../../kvstore/etcd/session/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { startTcpProxy } from '../../../support/tcp-proxy.ts';
import { Mirror, writeMany } from './mirror.ts';
import { clientOf, embeddedSubject } from './subjects.ts';

jest.setTimeout(120_000);

const prefix = 'cilium/state/ip/v1/';

/** Goes on from the revision in the header of any response: what the etcd3 package does. */
class FromHeader extends Position {
  override applyNotice(notice: Parameters<Position['applyNotice']>[0]): void {
    if (notice.header) this.next = notice.header.revision + 1;
  }
}

/** Has its link cut the moment that a watch is created: what has arrived behind that answer is lost with the link. */
function cutWhenCreated(position: Position, cut: () => boolean): Position {
  const apply = position.applyNotice.bind(position);
  position.applyNotice = (notice) => {
    apply(notice);
    if (notice.created && cut()) throw new UnavailableError('The link was cut');
  };
  return position;
}

/** Has its link cut once events were taken in: only who goes on exactly behind them receives none of them again. */
function cutAfterEvents(position: Position, cut: () => void): Position {
  const apply = position.applyEvents.bind(position);
  let cuts = 0;
  position.applyEvents = (events) => {
    apply(events);
    if (++cuts <= 2) cut();
  };
  return position;
}

/** Goes on from the last event instead of behind it. */
class OneTooEarly extends Position {
  override applyEvents(events: Parameters<Position['applyEvents']>[0]): void {
    super.applyEvents(events);
    this.next -= 1;
  }
}

/** Takes whatever store answers for the one it knows. */
class Trusting extends Position {
  override knows(): boolean {
    return true;
  }
  override get revision(): number {
    return 0;
  }
}

/** The client as it is, with another memory of what it has seen. */
async function tryWith(
  createPosition: () => Position,
  during: (scene: { readonly direct: Store; readonly wipe: () => Promise<void> }) => Promise<void>,
): Promise<string> {
  await using subject = await embeddedSubject();
  await using proxy = await startTcpProxy(subject);
  await using direct = clientOf(subject);
  const common = { clock: systemClock, log: silentLogger };
  await using session = new EtcdSession({ endpoints: [proxy.endpoint], ...common });
  await writeMany(direct, `${prefix}stable/`, 20);
  let cuts = 0;
  const cut = (): boolean => {
    if (proxy.connections <= 1 || ++cuts > 3) return false;
    proxy.cut();
    return true;
  };
  await using mirror = new Mirror(
    {
      listAndWatch: (bytes, { signal }) =>
        follow(session, {
          ...common,
          createPosition: () => cutAfterEvents(cutWhenCreated(createPosition(), cut), () => proxy.cut()),
          signal,
          prefix: toBytes(bytes),
          name: toText(toBytes(bytes)),
          batchSize: 100,
          random: Math.random,
        }),
    },
    prefix,
  );
  await mirror.agreesWith(direct, prefix);
  await proxy.set('refuse');
  proxy.cut();
  const wipe = async (): Promise<void> => {
    await subject.wipe();
    await direct.get('anything');
  };
  await during({ direct, wipe });
  for (const bytes of [150, 400, 20_000, 40_000]) {
    proxy.cutAtByte(bytes);
    await proxy.set('pass');
    await hears(mirror, direct, () => !proxy.armed);
  }
  // Whatever came before: one cut meets a client that has seen events, and nothing is on its way.
  await hears(mirror, direct);
  proxy.cut();
  await hears(mirror, direct);
  const lost = await mirror.differsFrom(direct, prefix);
  if (lost.length > 0) return `Not the state of the store: ${lost.slice(0, 5).join('; ')} (${lost.length} in all)`;
  if (mirror.problems.length > 0) return mirror.problems.slice(0, 5).join('; ');
  return mirror.marks.length === 2 ? 'nothing' : `Listed again: ${mirror.marks.slice(2).join()}`;
}

let probes = 0;

/**
 * Waits until a key written now has arrived, so that all that was to arrive before it has; or until `enough`. What is
 * written while a link goes may be what a defect loses: then the next one is looked for.
 */
async function hears(mirror: Mirror, direct: Store, enough: () => boolean = () => false): Promise<void> {
  for (;;) {
    const probe = `probe/${probes++}`;
    await direct.put(`${prefix}${probe}`, '1');
    const heard = (): boolean => mirror.watch.synced && mirror.state.has(probe);
    for (let looks = 0; looks < 50; looks++) {
      if (mirror.error !== undefined) throw mirror.error;
      if (enough() || heard()) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Far more than fits into the buffers between server and client, so that a cut meets the middle of it. */
const writeSome = async ({ direct }: { readonly direct: Store }): Promise<void> => {
  await writeMany(direct, `${prefix}new/`, 3000);
  for (let i = 0; i < 32; i++) await direct.put(`${prefix}new/large-${i}`, new Uint8Array(768 * 1024));
  await writeMany(direct, `${prefix}newer/`, 300);
};

describe('the tests of the etcd client', () => {
  test('find nothing wrong with the client as it is', async () => {
    expect(await tryWith(() => new Position(), writeSome)).toBe('nothing');
  });

  test('find out that a client goes on from the header instead of the last event', async () => {
    // It notices by itself by now: what came before its position had not happened for it.
    expect(await tryWith(() => new FromHeader(), writeSome)).toMatch(/differs|Listed again: store-replaced/);
  });

  test('find out that a client receives events twice', async () => {
    expect(await tryWith(() => new OneTooEarly(), writeSome)).toMatch(/twice|came after|Listed again/);
  });

  test('find out that a client does not notice a wiped store', async () => {
    const wiped = async ({ direct, wipe }: { readonly direct: Store; readonly wipe: () => Promise<void> }) => {
      await wipe();
      await writeMany(direct, `${prefix}other/`, 30);
    };
    expect(await tryWith(() => new Trusting(), wiped)).toMatch(/Not the state|removed/);
  });
});
