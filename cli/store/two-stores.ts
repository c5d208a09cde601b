import { randomUUID } from 'node:crypto';
import { KvStoreError, type OpenStore, type Store, type StoreStatus, copiesPrefix } from '../../kvstore/index.ts';
import { UsageError } from '../../runtime/options/index.ts';
import type { CommandContext } from '../command.ts';
import { addressNamed, openNamed } from './named-store.ts';

/** Two stores that answer, and what they said of themselves. */
export interface TwoStores extends AsyncDisposable {
  readonly a: OpenStore;
  readonly b: OpenStore;
  readonly statusOfA: StoreStatus;
  readonly statusOfB: StoreStatus;
}

/** Opens A and B, and makes sure that both answer and are not one; says so where that cannot be told. @throws {UsageError} */
export async function openTwo(
  context: CommandContext,
  [textA = '', textB = '']: readonly string[],
  { createB, prefix }: { readonly createB: boolean; readonly prefix: string },
): Promise<TwoStores> {
  const { signal } = context;
  const [addressA, addressB] = [addressNamed(textA, 'A'), addressNamed(textB, 'B')];
  await using stack = new AsyncDisposableStack();
  const a = stack.use(await openNamed(context, addressA));
  if (textA === textB) throw same();
  const b = stack.use(await openNamed(context, addressB, { create: createB }));
  // Whether one of them holds nothing decides what may be deleted in the other.
  const asked = { signal, prefix, exact: true };
  const [statusOfA, statusOfB] = await Promise.all([a.status(asked), b.status(asked)]);
  // The id alone does not tell: etcd derives it from its configuration.
  if (statusOfA.storeId === statusOfB.storeId) {
    const one = statusOfA.endpoint === statusOfB.endpoint || (await areOne(a.store, b.store, signal));
    if (one === true) throw same();
    if (one === undefined)
      context.stderr(
        `isthmus: A and B have the same id, ${statusOfA.storeId ?? 'or none'}; whether they are one store under two addresses\n` +
          `  cannot be told without the right to write and read ${copiesPrefix} in one of them\n`,
      );
  }
  const kept = stack.move();
  return { a, b, statusOfA, statusOfB, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/**
 * Whether what is written into one is in the other; undefined for who may not write in either. One store with two addresses
 * would be copied into itself without end, and would never differ from itself.
 */
async function areOne(a: Store, b: Store, signal: AbortSignal): Promise<boolean | undefined> {
  return (await seenIn(a, b, signal)) ?? (await seenIn(b, a, signal));
}

/** Whether `reader` has what is written into `writer`; undefined where one of them refuses. */
async function seenIn(reader: Store, writer: Store, signal: AbortSignal): Promise<boolean | undefined> {
  const key = `${copiesPrefix}probe-${randomUUID()}`;
  try {
    await using lease = await writer.grantLease({ ttlSeconds: 60, signal });
    try {
      await writer.put(key, '', { lease: lease.id, signal });
      return (await reader.get(key, { signal })) !== undefined;
    } finally {
      await lease.revoke();
    }
  } catch (error) {
    if (error instanceof KvStoreError && error.retry === 'never') return undefined;
    throw error;
  }
}

function same(): UsageError {
  return new UsageError('A and B are the same store', { hint: 'name two different ones' });
}
