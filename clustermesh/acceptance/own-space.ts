import { Condition } from '../../runtime/tasks/index.ts';
import { type IpAddress, type Prefix, formatPrefix, hostPrefix } from '../../values/ip/index.ts';
import { BlockSet } from './block-set.ts';

/** What one of our own things holds of the address space. */
export interface OwnPart {
  readonly blocks: readonly Prefix[];
  /** Blocks in which nodes of other clusters may stand, too: what was configured as ours may be a network of nodes. */
  readonly networks?: readonly Prefix[];
  /** Addresses at which our nodes are reached: where tunnels end. They are ours like the blocks. */
  readonly hosts?: readonly IpAddress[];
}

/** A picture of the space at one moment. */
export interface OwnSpaceContent {
  /** Everything. */
  readonly blocks: BlockSet;
  /** Without what nodes of other clusters may share. */
  readonly inner: BlockSet;
  readonly hosts: ReadonlySet<IpAddress>;
}

/** Which addresses belong to the own cluster, as far as is known: what was configured, its nodes, its Services. */
export class OwnSpace {
  readonly #parts = new Map<string, OwnPart>();
  readonly #change = new Condition();
  #version = 0;
  #content: OwnSpaceContent | undefined;

  get version(): number {
    return this.#version;
  }

  /** Settles when the version is beyond `version`. @throws the signal's reason when it aborts first. */
  changed(version: number, signal: AbortSignal): Promise<void> {
    return this.#change.until(() => this.#version > version, signal);
  }

  /** What `holder` (`node/e1`, `service/shop/web`) holds from now on. Saying the same again changes nothing. */
  set(holder: string, part: OwnPart): void {
    const before = this.#parts.get(holder);
    if (before && textOf(before) === textOf(part)) return;
    this.#parts.set(holder, part);
    this.#changed();
  }

  remove(holder: string): void {
    if (this.#parts.delete(holder)) this.#changed();
  }

  content(): OwnSpaceContent {
    this.#content ??= contentOf([...this.#parts.values()]);
    return this.#content;
  }

  #changed(): void {
    this.#content = undefined;
    this.#version++;
    this.#change.notify();
  }
}

function contentOf(parts: readonly OwnPart[]): OwnSpaceContent {
  const hosts = new Set(parts.flatMap((part) => part.hosts ?? []));
  const inner = parts.flatMap((part) => part.blocks);
  const networks = parts.flatMap((part) => part.networks ?? []);
  return {
    blocks: new BlockSet([...inner, ...networks, ...[...hosts].map(hostPrefix)]),
    inner: new BlockSet(inner),
    hosts,
  };
}

function textOf({ blocks, networks = [], hosts = [] }: OwnPart): string {
  return [...blocks.map(formatPrefix), '', ...networks.map(formatPrefix), '', ...hosts].join(' ');
}
