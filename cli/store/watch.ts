import {
  type Bytes,
  PermissionDeniedError,
  type Store,
  type WatchBatch,
  type WatchEvent,
} from '../../kvstore/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { defineOptions } from '../../runtime/options/index.ts';
import { type CommandContext, defineCommand } from '../command.ts';
import { outputOptions } from '../output/index.ts';
import { bytesFrom, keyOptions } from './key-argument.ts';
import { addressFrom, openNamed, storeDescription, storeOptions } from './named-store.ts';
import { jsonBytes, jsonEntry, shownBytes } from './shown.ts';

/** `isthmus store watch [PREFIX]` */
export const storeWatch = defineCommand({
  description: `One line a change, until Ctrl-C; lost connections are resumed where they broke off. Where that is impossible, a note on\nstandard error says so; also when a token or a right is refused that was granted before: it is asked for again. With -o json each line is one JSON object.\n${storeDescription}`,
  options: defineOptions({
    list: { type: 'boolean', help: 'Print what is there already, too' },
    ...keyOptions,
    ...storeOptions,
    ...outputOptions,
  }),
  positionals: { usage: '[PREFIX]', min: 0, max: 1 },
  examples: ['isthmus store watch cilium/state/nodes/', 'isthmus store watch --list -o json | jq .key'],
  run: async (context, { options, positionals: [argument = ''] }) => {
    const prefix = bytesFrom(argument, options);
    await using opened = await openNamed(context, addressFrom(options));
    // A watch waits for its store for ever; whoever named a wrong one is to learn of it.
    await opened.status({ signal: context.signal, prefix });
    const printer = new ChangePrinter(context, options.output === 'json' ? jsonLine : textLine, options.list);
    await printChanges(opened.store, prefix, printer, context);
    return 0;
  },
});

/**
 * Follows a prefix until the signal aborts. What was shown once and is refused now comes back with the token or the right that is missing: it is asked for
 * again, however long that takes. @throws {PermissionDeniedError} when it was never shown
 */
export async function printChanges(
  store: Pick<Store, 'listAndWatch' | 'health'>,
  prefix: Bytes,
  printer: ChangePrinter,
  { clock, signal, stderr }: Pick<CommandContext, 'clock' | 'signal' | 'stderr'>,
): Promise<void> {
  const watching = retry(
    async (running) => {
      for await (const batch of store.listAndWatch(prefix, { signal: running }))
        printer.print(batch, store.health().storeId);
    },
    {
      clock,
      signal,
      schedule: exponential({ firstMs: 500, maxMs: 10_000 }),
      retryable: (error) => error instanceof PermissionDeniedError && printer.wasShown,
      onFailure: (error) => {
        printer.interrupted();
        stderr(`isthmus: ${error instanceof Error ? error.message : 'Refused'}; asking again\n`);
      },
    },
  );
  await watching.catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** Prints changes; of a listing only what is asked for, or what changed while nobody looked. */
export class ChangePrinter {
  readonly #context: Pick<CommandContext, 'stdout' | 'stderr'>;
  readonly #line: (event: WatchEvent) => string;
  #listing = true;
  /** Puts of a listing up to this revision are known already. */
  #known: number;
  #storeId: string | undefined;
  #wasShown = false;
  #isInterrupted = false;

  constructor(context: Pick<CommandContext, 'stdout' | 'stderr'>, line: (event: WatchEvent) => string, list: boolean) {
    this.#context = context;
    this.#line = line;
    this.#known = list ? 0 : Number.POSITIVE_INFINITY;
  }

  /** A listing was complete. */
  get wasShown(): boolean {
    return this.#wasShown;
  }

  /** The watch is over, and another one takes its place. */
  interrupted(): void {
    this.#isInterrupted = true;
  }

  /** @param storeId of the store that it comes from, if known */
  print(batch: WatchBatch, storeId?: string): void {
    switch (batch.type) {
      case 'restart': {
        this.#listing = true;
        if (batch.reason === 'start' && !this.#isInterrupted) return;
        // Another store counts from anew.
        const isAnother = storeId !== undefined && this.#storeId !== undefined && storeId !== this.#storeId;
        if (batch.reason === 'store-replaced' || isAnother) this.#known = 0;
        const reason = batch.reason === 'start' ? 'it was refused' : batch.reason;
        this.#context.stderr(`isthmus: Listing again (${reason}); deletions may have been missed\n`);
        return;
      }
      case 'synced':
        this.#listing = false;
        this.#wasShown = true;
        this.#isInterrupted = false;
        this.#storeId = storeId;
        this.#known = batch.revision;
        this.#context.stderr(`isthmus: Watching from revision ${batch.revision}; Ctrl-C ends it\n`);
        return;
      case 'changes': {
        const isNew = (event: WatchEvent): boolean => event.type === 'delete' || event.entry.modRevision > this.#known;
        const events = this.#listing ? batch.events.filter(isNew) : batch.events;
        if (!this.#listing) this.#known = batch.revision;
        this.#context.stdout(events.map(this.#line).join(''));
      }
    }
  }
}

function textLine(event: WatchEvent): string {
  if (event.type === 'delete') return `${event.revision}  delete  ${shownBytes(event.key)}\n`;
  const { key, value, modRevision } = event.entry;
  return `${modRevision}  put     ${shownBytes(key)}  ${shownBytes(value)}\n`;
}

function jsonLine(event: WatchEvent): string {
  const fields =
    event.type === 'delete'
      ? { ...jsonBytes('key', event.key), modRevision: event.revision }
      : jsonEntry(event.entry, true);
  return `${JSON.stringify({ type: event.type, ...fields })}\n`;
}
