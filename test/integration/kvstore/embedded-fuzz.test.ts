import { expect, jest, test } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine } from '../../../kvstore/contract/index.ts';
import { changed } from '../../support/changed-engine.ts';
import { serveEngine } from '../../support/served-engine.ts';
import { fuzzServer } from './fuzz/fuzz.ts';

const isthmus = new URL('../../../bin/isthmus', import.meta.url).pathname;
const inputs = Number(process.env['ISTHMUS_FUZZ_INPUTS'] ?? 100_000);
const seed = Number(process.env['ISTHMUS_FUZZ_SEED'] ?? 1);
/** Of memory that is no file: a server under this load has some 150 MiB. */
const maxAnonymousMiB = 500;

jest.setTimeout(600_000);

test(`a store survives ${inputs} inputs that no client would send, and nobody else is hurt`, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-fuzz-'));
  const store = spawn(isthmus, ['store', 'serve', '--data-dir', directory, '--listen', '127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  try {
    let errors = '';
    store.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4000)));
    const report = await fuzzServer(await portOf(store), { seed, inputs });
    const anonymous = anonymousMiB(store);
    process.stdout.write(`fuzz, seed ${seed}: ${JSON.stringify({ ...report, anonymous })}\n`);
    expect({ violations: report.violations, exit: store.exitCode ?? store.signalCode, errors }).toMatchObject({
      violations: [],
      exit: null,
    });
    expect(report.bystanderPuts).toBeGreaterThan(20);
    // Some went through, and of the others each kind of refusal is there.
    for (const code of [0, 3, 5, 11, 12, 13]) expect(report.codes[code]).toBeGreaterThan(0);
    expect(anonymous).toBeLessThan(maxAnonymousMiB);
  } finally {
    if (store.exitCode === null && store.signalCode === null) {
      store.kill('SIGKILL');
      await once(store, 'exit');
    }
    rmSync(directory, { recursive: true, force: true });
  }
});

test.each([
  { defect: 'stumbles over a negative limit', wrap: stumbles, message: /a mistake of ours/ },
  { defect: 'never answers an empty transaction', wrap: neverAnswers, message: /was not answered/, answerMs: 3000 },
  {
    defect: 'stops telling watchers once a transaction was refused',
    wrap: stopsWatches,
    message: /bystander was hurt/,
  },
])('a server that $defect is caught', async ({ wrap, message, answerMs = 60_000 }) => {
  await using served = await serveEngine('memory', { wrap });
  const { violations } = await fuzzServer(served.port, { seed, inputs: 6000, answerMs });
  expect(violations.join('\n')).toMatch(message);
});

async function portOf(store: ChildProcess): Promise<number> {
  let output = '';
  for await (const chunk of store.stdout ?? []) {
    output += String(chunk);
    const port = /on 127\.0\.0\.1:(\d+),/.exec(output)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`The store did not say where it serves: ${output}`);
}

function anonymousMiB(store: ChildProcess): number {
  const kibibytes = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${store.pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kibibytes) / 1024);
}

function stumbles(engine: Engine): Engine {
  return changed(engine, {
    range: async (request) => {
      if ((request.limit ?? 0) < 0) throw new TypeError('Cannot take so few');
      return engine.range(request);
    },
  });
}

function neverAnswers(engine: Engine): Engine {
  return changed(engine, {
    txn: (request) =>
      request.success.length + request.failure.length === 0 ? new Promise(() => undefined) : engine.txn(request),
  });
}

function stopsWatches(engine: Engine): Engine {
  let refused = false;
  return changed(engine, {
    txn: (request) => engine.txn(request).catch((error: unknown) => Promise.reject(((refused = true), error))),
    watch: (request, sink) =>
      engine.watch(request, {
        compacted: (revision) => sink.compacted(revision),
        failed: (error) => sink.failed(error),
        events: (events, revision) => {
          if (!refused) sink.events(events, revision);
        },
      }),
  });
}
