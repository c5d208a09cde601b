import { randomUUID } from 'node:crypto';
import {
  type OpenStore,
  PermissionDeniedError,
  type Store,
  type StoreStatus,
  copiesPrefix,
} from '../../kvstore/index.ts';
import { UsageError } from '../../runtime/options/index.ts';
import type { CommandContext } from '../command.ts';
import { addressNamed, openNamed } from './named-store.ts';

/** Two stores that answer, and what they said of themselves. */
export interface TwoStores extends AsyncDisposable {
  readonly a: OpenStore;
  readonly b: OpenStore;
  readonly statusOfA: StoreStatus;
}

/** Opens A and B, and makes sure that both answer and are not one. @throws {UsageError} */
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
  const [statusOfA, statusOfB] = await Promise.all([a.status({ signal, prefix }), b.status({ signal, prefix })]);
  // The id alone does not tell: etcd derives it from its configuration.
  if (statusOfA.storeId === statusOfB.storeId)
    if (statusOfA.endpoint === statusOfB.endpoint || (createB && (await areOne(a.store, b.store, signal))))
      throw same();
  const kept = stack.move();
  return { a, b, statusOfA, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Whether what is written into B is in A: one store with two addresses would be copied into itself without end. */
async function areOne(a: Store, b: Store, signal: AbortSignal): Promise<boolean> {
  const key = `${copiesPrefix}probe-${randomUUID()}`;
  await using lease = await b.grantLease({ ttlSeconds: 60, signal });
  await b.put(key, '', { lease: lease.id, signal });
  try {
    return (await a.get(key, { signal })) !== undefined;
  } catch (error) {
    // Who may not read our records there cannot tell.
    if (error instanceof PermissionDeniedError) return false;
    throw error;
  } finally {
    await lease.revoke();
  }
}

function same(): UsageError {
  return new UsageError('A and B are the same store', { hint: 'name two different ones' });
}
