import { type MirrorProgress, type OpenStore, type StoreStatus, copiesPrefix, mirror } from '../../kvstore/index.ts';
import { createLogger } from '../../runtime/log/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { type CommandContext, type ExitCode, defineCommand } from '../command.ts';
import { formatJson, outputOptions } from '../output/index.ts';
import { leaseSeconds } from './lease-seconds.ts';
import { ProgressLine, count, progressBar } from './progress-line.ts';
import { openTwo } from './two-stores.ts';

/** `isthmus store copy A B` */
export const storeCopy = defineCommand({
  description:
    'Copies what A holds into B, then follows A until Ctrl-C: first a listing, then each change. A and B are named as\n' +
    '--store is elsewhere: http://HOST:PORT, etcd:FILE, consul:FILE, embedded:DIR.\n\n' +
    'Keys that a lease holds in A arrive under a lease of the copier’s, the others without one. As soon as somebody else\n' +
    'writes a key in B, it is theirs: it is neither changed nor deleted any more. When the copier ends, what nobody has\n' +
    'claimed goes after --lease-ttl; a copier that is started again takes it over.\n\n' +
    'Lost connections, and tokens and rights that are refused after B was in step, are borne: it goes on when they are back.\n\n' +
    'Exit code 1 when B could not be made equal: keys that others wrote differently, or that A lacks, stay as they are\n' +
    'unless --overwrite is given.',
  options: defineOptions({
    prefix: { type: 'string', default: '', help: 'Only keys that begin with this' },
    once: { type: 'boolean', help: 'End when B holds what the listing said' },
    overwrite: {
      type: 'boolean',
      help: 'At the beginning, replace and delete what others wrote into B, keys of living owners included',
    },
    'lease-ttl': {
      type: 'duration',
      default: '15m',
      help: 'What is copied goes this long after the copier, unless claimed',
    },
    ...outputOptions,
  }),
  positionals: { usage: 'A B', min: 2, max: 2 },
  examples: [
    'isthmus store copy http://127.0.0.1:2379 etcd:/etc/isthmus/etcd.yaml',
    'isthmus store copy etcd:/etc/isthmus/etcd.yaml consul:/etc/isthmus/consul.yaml --prefix cilium/ --once',
  ],
  ends: true,
  run: async (context, { options, positionals }) => {
    const { clock, signal } = context;
    const leaseTtlSeconds = leaseSeconds(options.leaseTtlMs);
    await using stores = await openTwo(context, positionals, { createB: true, prefix: options.prefix });
    const isEmpty = async (of: OpenStore, { keys }: StoreStatus): Promise<boolean> => {
      if (keys === undefined || !copiesPrefix.startsWith(options.prefix)) return keys === 0;
      // What copiers say of copying is not copied.
      const { keys: records = 0 } = await of.status({ signal, prefix: copiesPrefix, exact: true });
      return keys <= records;
    };
    // What an earlier copier brought would go, too, when A was lost or is another one than was meant.
    if ((await isEmpty(stores.a, stores.statusOfA)) && stores.statusOfB.keys !== 0)
      throw new UsageError('A holds nothing, and B something that would be deleted', {
        hint: 'is A the store that is meant?',
      });
    using line = new ProgressLine(context);
    const log = createLogger(
      {
        level: 'info',
        format: 'text',
        clock,
        write: (text) => {
          line.clear();
          context.stderr(text);
        },
      },
      { component: 'copy' },
    );
    const report = new Report(context, line, stores.statusOfA.keys, options.output === 'json');
    const result = await mirror(
      {
        from: stores.a.store,
        to: stores.b.store,
        prefix: options.prefix,
        leaseTtlSeconds,
        once: options.once,
        overwrite: options.overwrite,
        revisionsGrow: stores.a.address.kind !== 'consul',
        onProgress: (progress) => report.tell(progress),
      },
      { clock, log },
      signal,
    );
    return report.end(result);
  },
});

/** What a person, or a program, is told. */
class Report {
  readonly #context: CommandContext;
  readonly #line: ProgressLine;
  readonly #total: number | undefined;
  readonly #json: boolean;
  #inStep = false;
  #told = '';

  constructor(context: CommandContext, line: ProgressLine, total: number | undefined, json: boolean) {
    this.#context = context;
    this.#line = line;
    this.#total = total;
    this.#json = json;
  }

  tell(progress: MirrorProgress): void {
    if (progress.phase !== 'following') {
      this.#inStep = false;
      this.#line.show(progressBar(progress.listed, this.#total, 'keys'));
      return;
    }
    if (!this.#inStep) {
      this.#inStep = true;
      this.#line.clear();
      if (!this.#json) this.#context.stdout(`In step at revision ${progress.revision}: ${summary(progress)}\n`);
      // Whoever waits for this line moves owners next: what is not equal has to be known before.
      this.#tellOfDifferences(progress);
    }
    this.#line.show(`Following A, revision ${progress.revision}: ${summary(progress)}`);
  }

  end(result: MirrorProgress): ExitCode {
    const { phase, kept, extra, refused } = result;
    this.#line.clear();
    const equal = phase === 'following' && kept + extra + refused === 0;
    if (this.#json) this.#context.stdout(formatJson({ equal, ...result }));
    if (phase !== 'following') this.#context.stderr('isthmus: Ended before the listing was complete\n');
    this.#tellOfDifferences(result);
    return equal ? 0 : 1;
  }

  /** Once for each number of them. */
  #tellOfDifferences({ kept, extra, refused }: MirrorProgress): void {
    const notes = [
      kept > 0 ? `${count(kept)} keys of B belong to others and differ` : '',
      extra > 0 ? `${count(extra)} keys of B are not in A` : '',
      refused > 0 ? `${count(refused)} keys cannot be stored in B` : '',
    ].filter((note) => note !== '');
    const told = notes.join('; ');
    if (told === this.#told) return;
    this.#told = told;
    if (notes.length > 0) this.#context.stderr(`isthmus: ${told}\n`);
    if (kept + extra > 0) this.#context.stderr('  isthmus store check A B names them; --overwrite makes B what A is\n');
  }
}

function summary({ listed, written, deleted }: MirrorProgress): string {
  return `${count(listed)} keys listed, ${count(written)} written, ${count(deleted)} deleted`;
}
