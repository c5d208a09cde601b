import { describe, expect, test } from '@jest/globals';
import { KnownPeers } from '../../../../clustermesh/peers/known-peers.ts';
import type { PeerConfig } from '../../../../clustermesh/index.ts';
import type { Logger } from '../../../../runtime/log/index.ts';

const good = 'endpoints:\n- https://west:2379\n';
const limits = 'allowedCIDRs: ["10.2.0.0/16"]';

/** What one look finds of the cluster west: a text, what is wrong with its file, or no file. */
type Look = { readonly text: string; readonly policy?: string } | { readonly broken: string } | undefined;

class Rig {
  readonly logged: string[] = [];
  readonly #known: KnownPeers;
  #nowMs = 0;

  constructor() {
    const note = (message: string, also: Readonly<Record<string, unknown>> = {}): void => {
      const { reason } = also;
      this.logged.push(typeof reason === 'string' ? `${message}: ${reason}` : message);
    };
    const log: Logger = { debug: note, info: note, warn: note, error: note, child: () => log };
    this.#known = new KnownPeers('east', log);
  }

  get unread(): string[] {
    return [...this.#known.unread];
  }

  /** What a look changes that comes `afterMs` after the one before. */
  look(found: Look, afterMs = 0): string[] {
    this.#nowMs += afterMs;
    const scan = {
      configs: new Map(found && 'text' in found ? [['west', configOf(found)]] : []),
      broken: new Map(found && 'broken' in found ? [['west', found.broken]] : []),
      misnamed: [],
    };
    return [...this.#known.changes(scan, this.#nowMs)].map((event) =>
      event.type === 'add'
        ? `add ${event.config.hash}`
        : event.type === 'remove'
          ? `remove ${event.cluster}`
          : event.type,
    );
  }
}

function configOf({ text, policy }: { readonly text: string; readonly policy?: string }): PeerConfig {
  const beside = policy === undefined ? {} : { policy: { path: 'west.isthmus.yaml', text: policy } };
  return {
    cluster: 'west',
    path: 'west',
    text,
    hash: `${text.trim()} ${policy ?? '-'}`.replaceAll('\n', ' '),
    ...beside,
  };
}

describe('what is known of the directory of remote clusters', () => {
  test.each([
    { what: 'an empty file', found: { broken: 'is empty' }, reason: 'its file is empty' },
    {
      what: 'a file that may not be read',
      found: { broken: 'cannot be read (EACCES)' },
      reason: 'its file cannot be read (EACCES)',
    },
    {
      what: 'half a file',
      found: { text: 'endpoints:\n- "https://we' },
      reason: 'its file is not YAML: missing char at line 2, column 14',
    },
    { what: 'a file without endpoints', found: { text: 'endpoints:\n' }, reason: 'its file has no list of endpoints' },
  ])('$what leaves the last one that could be read in force, and is named once', ({ found, reason }) => {
    const rig = new Rig();
    expect(rig.look({ text: good })).toEqual(['add endpoints: - https://west:2379 -']);
    expect(rig.look(found)).toEqual([]);
    expect(rig.look(found, 3_600_000)).toEqual([]);
    expect(rig.logged).toEqual([`The configuration of a remote cluster cannot be read: ${reason}`]);
    expect(rig.look({ text: good })).toEqual([]);
    expect(rig.logged[1]).toBe('The configuration of a remote cluster can be read again');
    expect(rig.look({ text: `${good}# another\n` })).toHaveLength(1);
  });

  test('a file that is removed is removed, once two looks half a second apart found none', () => {
    const rig = new Rig();
    rig.look({ text: good });
    expect(rig.look(undefined)).toEqual([]);
    expect(rig.look(undefined, 499)).toEqual([]);
    expect(rig.look({ text: good }, 1)).toEqual([]);
    expect(rig.look(undefined)).toEqual([]);
    expect(rig.look(undefined, 500)).toEqual(['remove west']);
    expect(rig.look(undefined, 500)).toEqual([]);
  });

  test('a file that was never whole is followed as it is, so that somebody says what is wrong with it', () => {
    const rig = new Rig();
    expect(rig.look({ text: 'endpoints: [' })).toEqual(['add endpoints: [ -']);
    expect(rig.look({ text: 'endpoints: {' })).toEqual(['add endpoints: { -']);
  });

  test('a file that was empty from the start is there, and its end is told', () => {
    const rig = new Rig();
    expect(rig.look({ broken: 'is empty' })).toEqual([]);
    expect(rig.unread).toEqual(['west']);
    rig.look(undefined);
    expect(rig.look(undefined, 500)).toEqual(['remove west']);
    expect(rig.unread).toEqual([]);
  });

  test('limits hold for two seconds beyond their file, so that an editor lifts none', () => {
    const rig = new Rig();
    rig.look({ text: good, policy: limits });
    expect(rig.look({ text: good })).toEqual([]);
    expect(rig.look({ text: good }, 1_999)).toEqual([]);
    expect(rig.look({ text: good, policy: limits })).toEqual([]);
    expect(rig.look({ text: good }, 10_000)).toEqual([]);
    expect(rig.look({ text: good, policy: 'allowedCIDRs: []' }, 500)).toEqual([
      'add endpoints: - https://west:2379 allowedCIDRs: []',
    ]);
    expect(rig.look({ text: good })).toEqual([]);
    expect(rig.look({ text: good }, 2_000)).toEqual(['add endpoints: - https://west:2379 -']);
  });
});
