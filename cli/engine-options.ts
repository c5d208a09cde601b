import type { AutoCompaction } from '../kvstore/index.ts';
import { UsageError, defineOptions, parseDuration } from '../runtime/options/index.ts';

/** How a store of our own keeps house; etcd's names. */
export const engineOptions = defineOptions({
  'auto-compaction-mode': {
    type: 'choice',
    choices: ['periodic', 'revision', 'off'],
    default: 'periodic',
    help: 'What history the embedded store forgets by itself: by age, by number of revisions, or none',
  },
  'auto-compaction-retention': {
    type: 'string',
    placeholder: 'AGE|NUMBER',
    help: 'How much it keeps: an age as 1h30m (default 5m), or with mode revision a number (default 10000)',
  },
  'quota-backend-bytes': {
    type: 'number',
    default: 2 * 1024 ** 3,
    min: 16 * 1024 ** 2,
    unit: 'bytes',
    help: 'Puts are refused and an alarm is raised when the embedded store holds this much',
  },
});

/** For a command whose own store is one of several that it may write to: where it is kept and served, and how. */
export const ownEngineOptions = defineOptions({
  'data-dir': { type: 'string', placeholder: 'DIR', help: 'Directory of the embedded store; made when missing' },
  listen: {
    type: 'address',
    default: '127.0.0.1:2379',
    help: 'Address to serve our own store on; port 0 is any free one',
  },
  ...engineOptions,
});

export interface EngineSettings {
  readonly autoCompaction: AutoCompaction;
  readonly quotaBytes: number;
}

/** @throws {UsageError} for a retention that its mode does not understand */
export function engineSettings(options: {
  readonly autoCompactionMode: 'periodic' | 'revision' | 'off';
  readonly autoCompactionRetention: string | undefined;
  readonly quotaBackendBytes: number;
}): EngineSettings {
  const { autoCompactionMode: mode, autoCompactionRetention: retention, quotaBackendBytes: quotaBytes } = options;
  return { autoCompaction: autoCompaction(mode, retention), quotaBytes };
}

function autoCompaction(mode: 'periodic' | 'revision' | 'off', retention: string | undefined): AutoCompaction {
  const option = '--auto-compaction-retention';
  switch (mode) {
    case 'off':
      if (retention !== undefined)
        throw new UsageError(`${option} says nothing about --auto-compaction-mode off`, { option });
      return { mode };
    case 'revision': {
      const revisions = Number(retention ?? 10_000);
      if (!Number.isSafeInteger(revisions) || revisions < 1)
        throw new UsageError(`${option} is not a number of revisions: ${JSON.stringify(retention)}`, {
          option,
          hint: 'with --auto-compaction-mode revision give a whole number from 1 on',
        });
      return { mode: 'revisions', revisions };
    }
    case 'periodic': {
      const retentionMs = ageOf(retention ?? '5m');
      if (retentionMs === undefined || retentionMs < 1000)
        throw new UsageError(`${option} is not an age of a second or more: ${JSON.stringify(retention)}`, {
          option,
          hint: 'give it as 90s, 5m or 1h30m; to keep all history, --auto-compaction-mode off',
        });
      return { mode: 'age', retentionMs };
    }
  }
}

function ageOf(text: string): number | undefined {
  try {
    return parseDuration(text);
  } catch {
    return undefined;
  }
}
