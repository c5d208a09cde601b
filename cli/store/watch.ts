import type { WatchBatch, WatchEvent } from '../../kvstore/index.ts';
import { defineOptions } from '../../runtime/options/index.ts';
import { type CommandContext, defineCommand } from '../command.ts';
import { outputOptions } from '../output/index.ts';
import { addressFrom, openNamed, storeDescription, storeOptions } from './named-store.ts';
import { jsonBytes, jsonEntry, shownBytes } from './shown.ts';

/** `isthmus store watch [PREFIX]` */
export const storeWatch = defineCommand({
  description: `One line a change, until Ctrl-C; lost connections are resumed where they broke off. Where that is impossible, a note on\nstandard error says so. With -o json each line is one JSON object.\n${storeDescription}`,
  options: defineOptions({
    list: { type: 'boolean', help: 'Print what is there already, too' },
    ...storeOptions,
    ...outputOptions,
  }),
  positionals: { usage: '[PREFIX]', min: 0, max: 1 },
  examples: ['isthmus store watch cilium/state/nodes/', 'isthmus store watch --list -o json | jq .key'],
  run: async (context, { options, positionals: [prefix = ''] }) => {
    await using opened = await openNamed(context, addressFrom(options));
    // A watch waits for its store for ever; whoever named a wrong one is to learn of it.
    await opened.status({ signal: context.signal, prefix });
    const printer = new ChangePrinter(context, options.output === 'json' ? jsonLine : textLine, options.list);
    for await (const batch of opened.store.listAndWatch(prefix, { signal: context.signal })) printer.print(batch);
    return 0;
  },
});

/** Prints changes; of a listing only what is asked for, or what changed while nobody looked. */
class ChangePrinter {
  readonly #context: CommandContext;
  readonly #line: (event: WatchEvent) => string;
  #listing = true;
  /** Puts of a listing up to this revision are known already. */
  #known: number;

  constructor(context: CommandContext, line: (event: WatchEvent) => string, list: boolean) {
    this.#context = context;
    this.#line = line;
    this.#known = list ? 0 : Number.POSITIVE_INFINITY;
  }

  print(batch: WatchBatch): void {
    switch (batch.type) {
      case 'restart':
        this.#listing = true;
        if (batch.reason === 'start') return;
        // Another store counts from anew.
        if (batch.reason === 'store-replaced') this.#known = 0;
        this.#context.stderr(`isthmus: Listing again (${batch.reason}); deletions may have been missed\n`);
        return;
      case 'synced':
        this.#listing = false;
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
