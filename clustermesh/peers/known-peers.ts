import { parseQuietYaml } from '../../runtime/files/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import type { PeerConfig, PeerEvent } from './peer-config.ts';
import { type DirectoryScan, hasNoEndpoints, isEmpty } from './scan-directory.ts';

/** Whoever writes a file anew may remove it first. */
const goneMs = 500;
/** Limits that are lifted let in at once what they kept out. */
const limitsLiftedMs = 2_000;

/**
 * Which configurations are in force, by what each look at the directory finds. All that was learnt of a cluster goes with its removal, so files that
 * are being written are told from those that are meant so:
 * - what is there and holds no configuration (empty, by half, not readable) changes nothing, and is named once;
 * - a file counts as removed once two looks half a second apart found none;
 * - a file of limits counts as removed after two seconds, and until then the configuration before is in force.
 */
export class KnownPeers {
  readonly #ownCluster: string;
  readonly #log: Logger;
  readonly #inForce = new Map<string, { readonly config: PeerConfig; readonly isWhole: boolean }>();
  readonly #gone = new Absences(goneMs);
  readonly #limitsGone = new Absences(limitsLiftedMs);
  /** Files that hold no configuration, with what was said of them. */
  readonly #broken = new Map<string, string>();

  constructor(ownCluster: string, log: Logger) {
    this.#ownCluster = ownCluster;
    this.#log = log;
  }

  /** After how long what is gone has to be looked at again; undefined: nothing is. */
  get lookAgainMs(): number | undefined {
    return this.#gone.size > 0 || this.#limitsGone.size > 0 ? goneMs : undefined;
  }

  /** Clusters that have a file, and of which nothing is in force. */
  get unread(): ReadonlySet<string> {
    return new Set([...this.#broken.keys()].filter((cluster) => !this.#inForce.has(cluster)));
  }

  /** What one look changes, in order. */
  *changes({ configs, broken }: DirectoryScan, nowMs: number): Generator<PeerEvent, void, void> {
    for (const cluster of new Set([...this.#inForce.keys(), ...this.#broken.keys()]))
      if (this.#gone.hasLasted(cluster, configs.has(cluster) || broken.has(cluster), nowMs)) {
        this.#inForce.delete(cluster);
        this.#broken.delete(cluster);
        this.#limitsGone.forget(cluster);
        yield { type: 'remove', cluster };
      }
    for (const [cluster, problem] of broken) if (cluster !== this.#ownCluster) this.#name(cluster, problem);
    for (const [cluster, config] of configs) {
      if (cluster === this.#ownCluster) continue;
      const before = this.#inForce.get(cluster);
      if (this.#keepsLimits(config, before?.config, nowMs)) continue;
      if (before?.config.hash === config.hash) this.#mended(cluster);
      else {
        const mistake = mistakeIn(config.text);
        if (mistake !== undefined && before?.isWhole) {
          this.#name(cluster, mistake);
          continue;
        }
        this.#inForce.set(cluster, { config, isWhole: mistake === undefined });
        this.#mended(cluster);
        yield { type: 'add', config };
      }
    }
  }

  /** Whether limits that are not there any more are still in force. */
  #keepsLimits({ cluster, policy }: PeerConfig, before: PeerConfig | undefined, nowMs: number): boolean {
    const isThere = policy !== undefined || before?.policy === undefined;
    return !this.#limitsGone.hasLasted(cluster, isThere, nowMs) && !isThere;
  }

  #mended(cluster: string): void {
    if (this.#broken.delete(cluster))
      this.#log.info('The configuration of a remote cluster can be read again', { [fields.cluster]: cluster });
  }

  #name(cluster: string, problem: string): void {
    if (this.#broken.get(cluster) === problem) return;
    this.#broken.set(cluster, problem);
    const isInForce = this.#inForce.get(cluster)?.isWhole === true;
    // Of a file that was never a configuration nobody knows that it is meant to be one, unless it is empty.
    if (!isInForce && problem !== isEmpty) return;
    this.#log.warn('The configuration of a remote cluster cannot be read', {
      [fields.cluster]: cluster,
      reason: `its file ${problem}`,
      [fields.hint]: isInForce
        ? 'The last one that could be read stays in force. Mend the file, or remove it if the cluster is to be left'
        : 'What is known of the cluster stays. Write the configuration, or remove the file',
    });
  }
}

/** Since when something of a cluster was not there, in monotonic time. */
class Absences {
  readonly #graceMs: number;
  readonly #since = new Map<string, number>();

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  get size(): number {
    return this.#since.size;
  }

  /** Whether it has not been there for the time of grace; said once. */
  hasLasted(cluster: string, isThere: boolean, nowMs: number): boolean {
    const since = this.#since.get(cluster) ?? nowMs;
    const isOver = !isThere && nowMs - since >= this.#graceMs;
    if (isThere || isOver) this.#since.delete(cluster);
    else this.#since.set(cluster, since);
    return isOver;
  }

  forget(cluster: string): void {
    this.#since.delete(cluster);
  }
}

/** What a text lacks to be a configuration. Its values are for whoever opens the store: this finds what was written by half. */
function mistakeIn(text: string): string | undefined {
  try {
    const document = parseQuietYaml(text);
    const isMapping = typeof document === 'object' && document !== null;
    const endpoints = isMapping && 'endpoints' in document ? document.endpoints : undefined;
    return Array.isArray(endpoints) && endpoints.length > 0 ? undefined : hasNoEndpoints;
  } catch (error) {
    return `is ${error instanceof Error ? error.message : 'not YAML'}`;
  }
}
