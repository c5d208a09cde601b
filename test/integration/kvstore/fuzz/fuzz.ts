import { constants } from 'node:http2';
import { Random } from '../../../../runtime/random/index.ts';
import { RawEtcd } from '../../../support/raw-etcd.ts';
import { Bystander } from './bystander.ts';
import { type FuzzedCall, fuzzedCall, fuzzedStream } from './mutate.ts';
import { fuzzConnection } from './raw-socket.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly inputs: number;
  /** A call that is not answered within this time counts as never answered. */
  readonly answerMs?: number;
}

export interface FuzzReport {
  /** What no server may do, whatever it is sent. */
  readonly violations: readonly string[];
  /** How the calls ended, by gRPC code. */
  readonly codes: Readonly<Record<number, number>>;
  readonly connections: number;
  readonly bystanderPuts: number;
}

const workers = 48;
/** Every so many inputs one is a connection of its own, and so many are streams. */
const connectionEvery = 50;
const streamEvery = 9;
/** A stream of watches lasts; whoever opened it goes after a while. */
const streamMs = 10;

/** Sends a server what a seed makes of sensible requests, from many calls at once, next to a client that behaves. */
export async function fuzzServer(port: number, options: FuzzOptions): Promise<FuzzReport> {
  const { seed, inputs, answerMs = 60_000 } = options;
  const violations: string[] = [];
  const codes: Record<number, number> = {};
  let next = 0;
  let connections = 0;
  await using bystander = new Bystander(port);
  await using client = new RawEtcd(port);

  const pending = new Map<number, { readonly sinceMs: number; readonly resolve: (nothing: undefined) => void }>();
  // One timer for all: thousands of calls a second would each pay for their own.
  const watchdog = setInterval(() => {
    for (const { sinceMs, resolve } of pending.values()) if (performance.now() - sinceMs > answerMs) resolve(undefined);
  }, 250);

  const one = async (index: number): Promise<void> => {
    const random = new Random(seed * 10_000_019 + index);
    if (index % connectionEvery === 0) {
      connections += 1;
      return fuzzConnection(port, random);
    }
    if (index % streamEvery === 0) return stream(client, fuzzedStream(random));
    const call = fuzzedCall(random);
    const lasts = /Watch$|KeepAlive$/.test(call.path);
    if (lasts) return stream(client, call);
    const silence = new Promise<undefined>((resolve) => pending.set(index, { sinceMs: performance.now(), resolve }));
    const answer = await Promise.race([client.bytes(call.path, call.body), silence]);
    pending.delete(index);
    if (!answer) violations.push(`input ${index} (${call.path}) was not answered`);
    else if (answer.code === -1)
      violations.push(`input ${index} (${call.path}) ended without a status: ${answer.message}`);
    else if (answer.message === 'isthmus: internal error')
      violations.push(`input ${index} (${call.path}) met a mistake of ours`);
    codes[answer?.code ?? -1] = (codes[answer?.code ?? -1] ?? 0) + 1;
  };
  const work = async (): Promise<void> => {
    while (next < inputs && violations.length < 5 && bystander.complaints.length === 0) await one(next++);
  };
  try {
    await Promise.all(Array.from({ length: workers }, work));
  } finally {
    clearInterval(watchdog);
  }
  await bystander[Symbol.asyncDispose]();
  violations.push(...bystander.complaints.map((complaint) => `the bystander was hurt: ${complaint}`));
  return { violations, codes, connections, bystanderPuts: bystander.puts };
}

/** However it ends: what counts is that the server goes on. */
async function stream(client: RawEtcd, { path, body }: FuzzedCall): Promise<void> {
  const call = client.open(path);
  const closed = new Promise<void>((resolve) => call.once('close', () => resolve()));
  call.on('error', () => undefined);
  call.resume();
  call.end(body);
  const timer = setTimeout(() => call.close(constants.NGHTTP2_CANCEL), streamMs);
  await closed;
  clearTimeout(timer);
}
