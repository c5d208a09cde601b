import type { BpfAttachment, BpfHook, BpfObject, Kernel } from '../../kernel/ports/index.ts';
import { Serial } from '../table/index.ts';
import { endpointPrograms, pinName, pinnedLinks, unpinLink } from './pins.ts';

/**
 * Where the node's programs run. Attachments are pinned and held: a pin that somebody else removes does not stop traffic
 * as long as this process lives, and a new process takes a pinned attachment over in place.
 */
export class Attachments implements Disposable {
  readonly #object: BpfObject;
  readonly #pinDirectory: string;
  readonly #serial = new Serial();
  readonly #node: BpfAttachment[] = [];
  readonly #endpoints = new Map<number, BpfAttachment[]>();

  constructor(object: BpfObject, pinDirectory: string) {
    this.#object = object;
    this.#pinDirectory = pinDirectory;
  }

  /** Attaches a program that belongs to the node as a whole. */
  async attach(program: string, hook: BpfHook): Promise<void> {
    this.#node.push(await this.#object.attach(program, hook, { pinName: program }));
  }

  /** Attaches the programs of one endpoint; nothing is done when they run already. */
  attachEndpoint(link: number): Promise<void> {
    return this.#serial.run(async () => {
      if (this.#endpoints.has(link)) return;
      const attachments: BpfAttachment[] = [];
      try {
        for (const { program, direction } of endpointPrograms)
          attachments.push(
            await this.#object.attach(
              program,
              { type: 'tc', link, direction },
              {
                pinName: pinName(program, link),
              },
            ),
          );
      } catch (error) {
        for (const attachment of attachments) attachment[Symbol.dispose]();
        throw error;
      }
      this.#endpoints.set(link, attachments);
    });
  }

  detachEndpoint(link: number): Promise<void> {
    return this.#serial.run(() => this.#detach(link));
  }

  /** Detaches all endpoints but these, also those of an earlier life. */
  keepEndpoints(links: ReadonlySet<number>): Promise<void> {
    return this.#serial.run(async () => {
      for (const link of new Set([...this.#endpoints.keys(), ...pinnedLinks(this.#pinDirectory)]))
        if (!links.has(link)) await this.#detach(link);
    });
  }

  /** Drops what an earlier life pinned to devices that are gone. */
  async sweep(kernel: Kernel): Promise<void> {
    const pinned = pinnedLinks(this.#pinDirectory);
    if (pinned.length === 0) return;
    const present = new Set((await kernel.network.links()).map((link) => link.index));
    for (const link of pinned) if (!present.has(link)) unpinLink(this.#pinDirectory, link);
  }

  /** Ends every attachment. */
  async detachAll(): Promise<void> {
    await this.keepEndpoints(new Set());
    await this.#serial.run(async () => {
      for (const attachment of this.#node.splice(0)) await attachment.detach();
    });
  }

  /** Closes descriptors; what is pinned goes on running. */
  [Symbol.dispose](): void {
    for (const attachment of [...this.#node, ...[...this.#endpoints.values()].flat()]) attachment[Symbol.dispose]();
    this.#node.length = 0;
    this.#endpoints.clear();
  }

  async #detach(link: number): Promise<void> {
    const held = this.#endpoints.get(link);
    this.#endpoints.delete(link);
    for (const attachment of held ?? []) await attachment.detach();
    unpinLink(this.#pinDirectory, link);
  }
}
