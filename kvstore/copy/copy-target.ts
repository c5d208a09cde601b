import { fields, type Logger } from '../../runtime/log/index.ts';
import {
  InvalidRequestError,
  type KeyValue,
  KvStoreError,
  LeaseNotFoundError,
  type Operation,
  PermissionDeniedError,
  type Store,
  quoted,
} from '../contract/index.ts';
import type { LeaseSlot } from '../sync/index.ts';
import type { BroughtRecord } from './brought-keys.ts';
import { CopierLeases, isCopyRecord } from './copier-leases.ts';
import { isLock } from './lock-keys.ts';
import { type Step, type Wish, bytesOf, keyTextOf, lastOfEach, maxBytes, partsOf } from './wish.ts';

export interface CopyTargetOptions {
  readonly store: Pick<Store, 'transact' | 'grantLease' | 'put' | 'list'>;
  readonly prefix: Uint8Array;
  readonly leaseTtlSeconds: number;
  /** Where the keys come from, for people. */
  readonly from: string;
  /** The first listing replaces and deletes what others wrote, too. */
  readonly overwrite: boolean;
  readonly log: Logger;
  /** Told when a lease is lost: its keys are gone, so everything has to be looked at again. */
  readonly onLost: () => void;
}

/** A key of the target as it was last seen. */
interface Known {
  modRevision: number;
  lease: bigint;
  /** Written by a copier, or equal and held by no lease: then it follows the source. Else it has an owner. */
  ours: boolean;
  /** Written by a copier, and held by no lease. */
  brought: boolean;
  /** Only while a listing is compared. */
  value: Uint8Array | undefined;
  seen: boolean;
}

const parallel = 4;
const attempts = 20;

/**
 * The store that keys are copied into. Every write is guarded by the revision that was last seen, so that a key which its
 * owner has claimed there since stays as the owner wrote it, and is never deleted by us.
 */
export class CopyTarget implements AsyncDisposable {
  readonly #options: CopyTargetOptions;
  readonly #leases: CopierLeases;
  #known = new Map<string, Known>();
  readonly #slots = new Map<string, LeaseSlot>();
  /** Values that may have been written, where no record could tell whether they were. */
  readonly #doubtful = new Map<string, { readonly value: Uint8Array; readonly record: BroughtRecord | undefined }>();
  readonly #kept = new Set<string>();
  /** Keys of which the target does not take what the source holds now. */
  readonly #refused = new Set<string>();
  #overwrite: boolean;
  /** Whether we may say what we bring. */
  #recording = true;
  #hasRecorded = false;
  #listing = true;
  #written = 0;
  #deleted = 0;
  #extra = 0;

  constructor(options: CopyTargetOptions) {
    this.#options = options;
    this.#overwrite = options.overwrite;
    const { store, leaseTtlSeconds: ttlSeconds, from, onLost } = options;
    this.#leases = new CopierLeases({ store, ttlSeconds, from, onLost });
  }

  get counts(): {
    readonly written: number;
    readonly deleted: number;
    readonly kept: number;
    readonly extra: number;
    readonly refused: number;
  } {
    const [written, deleted] = [this.#written, this.#deleted];
    return { written, deleted, kept: this.#kept.size, extra: this.#extra, refused: this.#refused.size };
  }

  /** Learns what is there; to be called before each listing of the source. */
  async load(signal: AbortSignal): Promise<void> {
    await this.#leases.load(signal);
    const before = this.#known;
    // Takes its place only when it is whole: a listing that breaks off must not take with it what is ours of the rest.
    const known = new Map<string, Known>();
    this.#kept.clear();
    this.#refused.clear();
    this.#listing = true;
    for await (const { entries } of this.#options.store.list(this.#options.prefix, { signal }))
      for (const entry of entries) {
        if (isCopyRecord(entry.key) || isLock(entry)) continue;
        const text = keyTextOf(entry.key);
        const earlier = before.get(text);
        const { modRevision, lease } = entry;
        const unchanged = earlier?.modRevision === modRevision ? earlier : undefined;
        const doubt = this.#doubtful.get(text);
        const doubtful = doubt?.record?.lost === false ? undefined : doubt?.value;
        const brought =
          lease === 0n &&
          (this.#leases.brought.has(text, modRevision) ||
            (doubtful !== undefined && Buffer.compare(doubtful, entry.value) === 0) ||
            unchanged?.brought === true);
        const ours = this.#leases.isCopier(entry) || brought || (lease === 0n && unchanged?.ours === true);
        known.set(text, { modRevision, lease, ours, brought, value: new Uint8Array(entry.value), seen: false });
      }
    this.#known = known;
    this.#doubtful.clear();
  }

  /** Carries wishes out; of those for one key only the last. */
  async apply(wishes: Iterable<Wish>, signal: AbortSignal): Promise<void> {
    const steps: Step[] = [];
    for (const wish of lastOfEach(wishes)) {
      const step = isCopyRecord(wish.key) ? undefined : this.#decide(wish);
      if (step) steps.push(step);
    }
    await this.#writeAll(steps, signal);
  }

  /** The source’s listing is complete: what it lacked goes, as far as it is ours. */
  async finishListing(signal: AbortSignal): Promise<void> {
    const steps: Step[] = [];
    this.#extra = 0;
    for (const [text, known] of this.#known) {
      known.value = undefined;
      if (known.seen) continue;
      const wish = { key: Buffer.from(text, 'latin1'), value: undefined, leased: false };
      if (known.ours || this.#overwrite) steps.push({ wish, text, expected: known.modRevision });
      else this.#extra += 1;
    }
    await this.#writeAll(steps, signal);
    this.#listing = false;
    this.#overwrite = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leases[Symbol.asyncDispose]();
  }

  #decide(wish: Wish): Step | undefined {
    const text = keyTextOf(wish.key);
    this.#refused.delete(text);
    const known = this.#known.get(text);
    if (known) known.seen = true;
    const step = { wish, text, expected: known?.modRevision ?? 0 };
    if (wish.value === undefined) return known?.ours ? step : undefined;
    if (!known) return step;
    if (!this.#listing) return known.ours ? step : { ...step, expected: 0 };
    if (known.value && Buffer.compare(known.value, wish.value) === 0) {
      if (known.lease === 0n && !wish.leased) known.ours = true;
      // What a lease that nobody renews holds would go with it, and so would what it says of keys without.
      const isKept = known.brought ? this.#leases.brought.isOwn(text) || !this.#recording : this.#leases.isKept(known);
      return (known.brought || this.#leases.isCopier(known)) && !isKept ? step : undefined;
    }
    if (known.ours || this.#overwrite) return step;
    this.#kept.add(text);
    return undefined;
  }

  async #writeAll(steps: readonly Step[], signal: AbortSignal): Promise<void> {
    const parts = partsOf(steps);
    const work = async (): Promise<void> => {
      for (const part of parts) await this.#write(part, signal);
    };
    const results = await Promise.allSettled(Array.from({ length: parallel }, work));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async #write(part: readonly Step[], signal: AbortSignal): Promise<void> {
    let open = part;
    for (let attempt = 1; open.length > 0; attempt++) {
      if (attempt > attempts) throw new Error(`Key ${shown(open[0])} of the target changes all the time`);
      const operations = await this.#operations(open, signal);
      const record = await this.#record(open, signal);
      try {
        const { succeeded, revision, results } = await this.#options.store.transact(
          {
            when: open.map(({ wish, expected }) => ({
              key: wish.key,
              target: 'mod',
              result: 'equal',
              value: expected,
            })),
            then: record ? [...operations, record.operation] : operations,
            otherwise: open.map(({ wish }) => ({ type: 'get', key: wish.key })),
          },
          { signal },
        );
        if (succeeded) {
          record?.written(revision);
          for (const [i, step] of open.entries()) this.#confirm(step, operations[i], revision);
          return;
        }
        record?.refused();
        open = open.flatMap((step, i) => {
          const result = results[i];
          return this.#reconsider(step, result?.type === 'get' ? result.entry : undefined) ?? [];
        });
      } catch (error) {
        if (error instanceof InvalidRequestError) {
          record?.refused();
          await this.#refuse(open, error, signal);
          return;
        }
        // The store has lost it, or was wiped: its next renewal, which would tell, may be minutes away.
        if (error instanceof LeaseNotFoundError) this.#leases.loseAll();
        // A record tells by itself whether its keys were written; without one, or when its lease has ended, what stands there may be ours.
        if (!(error instanceof KvStoreError) || error.retry !== 'never')
          for (const { text, wish } of open)
            if (wish.value && !wish.leased) this.#doubtful.set(text, { value: new Uint8Array(wish.value), record });
        throw error;
      }
    }
  }

  /** What says that the keys without lease among them are ours; nothing where it would make the transaction too large. */
  async #record(steps: readonly Step[], signal: AbortSignal): Promise<BroughtRecord | undefined> {
    const brought = steps.filter(({ wish }) => wish.value !== undefined && !wish.leased);
    if (brought.length === 0 || bytesOf(steps) > maxBytes || !this.#recording) return undefined;
    try {
      const record = await this.#leases.brought.record(
        brought.map(({ text }) => text),
        signal,
      );
      this.#hasRecorded = true;
      return record;
    } catch (error) {
      // What was allowed once is refused for a while.
      if (!(error instanceof PermissionDeniedError) || this.#hasRecorded) throw error;
      // Who may write the keys alone copies them alone: the next copier cannot tell then that they are ours.
      this.#recording = false;
      return undefined;
    }
  }

  async #operations(steps: readonly Step[], signal: AbortSignal): Promise<Operation[]> {
    const operations: Operation[] = [];
    for (const { wish, text } of steps) {
      const { key, value, leased } = wish;
      if (value === undefined) operations.push({ type: 'delete', key });
      else if (!leased) operations.push({ type: 'put', key, value });
      else {
        let slot = this.#slots.get(text);
        if (!slot || slot.lost) this.#slots.set(text, (slot = await this.#leases.attach(text, signal)));
        operations.push({ type: 'put', key, value, lease: slot.lease.id });
      }
    }
    return operations;
  }

  #confirm({ text, wish }: Step, operation: Operation | undefined, revision: number): void {
    this.#kept.delete(text);
    if (operation?.type === 'put') {
      this.#written += 1;
      const lease = operation.lease ?? 0n;
      const brought = lease === 0n;
      if (brought) this.#release(text);
      else this.#leases.brought.forget(text);
      this.#known.set(text, { modRevision: revision, lease, ours: true, brought, value: undefined, seen: true });
    } else {
      if (wish.value === undefined) this.#deleted += 1;
      this.#known.delete(text);
      this.#leases.brought.forget(text);
      this.#release(text);
    }
  }

  /** Somebody wrote the key, or one beside it in the transaction: what is to be done now? */
  #reconsider(step: Step, entry: KeyValue | undefined): Step | undefined {
    const { wish, text } = step;
    if (!entry) {
      this.#known.delete(text);
      return wish.value === undefined ? undefined : { ...step, expected: 0 };
    }
    const { modRevision, lease } = entry;
    if (modRevision === step.expected) return step;
    const ours = this.#leases.isCopier(entry);
    this.#known.set(text, { modRevision, lease, ours, brought: false, value: undefined, seen: true });
    this.#leases.brought.forget(text);
    if (ours) return { ...step, expected: modRevision };
    this.#release(text);
    if (wish.value !== undefined && Buffer.compare(entry.value, wish.value) !== 0) this.#kept.add(text);
    else this.#kept.delete(text);
    return undefined;
  }

  /** Looks for the keys at fault, so that the others get in. */
  async #refuse(steps: readonly Step[], error: InvalidRequestError, signal: AbortSignal): Promise<void> {
    if (steps.length > 1) {
      const half = steps.length >>> 1;
      await this.#write(steps.slice(0, half), signal);
      await this.#write(steps.slice(half), signal);
      return;
    }
    if (steps[0]) this.#refused.add(steps[0].text);
    this.#options.log.warn('Target refuses a key', { [fields.key]: shown(steps[0]), [fields.error]: error });
  }

  #release(text: string): void {
    const slot = this.#slots.get(text);
    if (!slot) return;
    this.#slots.delete(text);
    this.#leases.detach(text, slot);
  }
}

function shown(step: Step | undefined): string {
  return step ? quoted(step.wish.key) : '""';
}
