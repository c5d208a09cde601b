import { methods } from '../../../../kvstore/etcd/wire/index.ts';
import { Random } from '../../../../runtime/random/index.ts';
import { RawEtcd } from '../../../support/raw-etcd.ts';
import { randomReadingTxn } from './operation.ts';

const keys = 6000;
const perTxn = 120;
const rounds = 40;

/**
 * Puts so many keys into both servers, some of them several times, that reads of them take many turns, and gives how many
 * answers to random transactions that only read differ.
 */
export async function compareLongReads(
  ports: { readonly theirs: number; readonly ours: number },
  seed: number,
): Promise<{ readonly differences: readonly unknown[]; readonly bytes: number }> {
  await using theirs = new RawEtcd(ports.theirs);
  await using ours = new RawEtcd(ports.ours);
  const random = new Random(seed);
  const both = <T>(work: (server: RawEtcd) => Promise<T>): Promise<[T, T]> => Promise.all([work(theirs), work(ours)]);
  let revision = 1;
  for (let start = 0; start < keys * 1.5; start += perTxn) {
    const success = Array.from({ length: perTxn }, (_, i) => {
      const key = Buffer.from(`k${String.fromCodePoint(97 + (i % 26))}${(start + i) % keys}`);
      const value = Buffer.from(`v${random.int(50)}`);
      return random.chance(0.1) ? { deleteRange: { key } } : { put: { key, value } };
    });
    const [answer] = await both((server) => server.call(methods.txn, { success }));
    revision = answer.response?.header?.revision ?? revision;
  }
  const differences: unknown[] = [];
  let bytes = 0;
  for (let round = 0; round < rounds; round++) {
    const request = randomReadingTxn(random, { revision, compactRevision: 0, awaited: 0 });
    const [a, b] = await both(async (server) => {
      const { code, message, response } = await server.call(methods.txn, request);
      // Only who answers differs.
      return JSON.stringify({ code, message, ...response, header: response?.header?.revision }, (_, value: unknown) =>
        typeof value === 'bigint' ? `${value}` : value,
      );
    });
    bytes += a.length;
    if (a !== b) differences.push({ round, request, theirs: a.slice(0, 500), ours: b.slice(0, 500) });
  }
  return { differences, bytes };
}
