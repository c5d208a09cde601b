import { isDeepStrictEqual } from 'node:util';
import type { BpfAttachment, BpfHook, BpfMap, BpfMapSpec, BpfObject, BpfObjectSpec, BpfPort } from '../ports/index.ts';
import { type LinuxObject, type ObjectContext, loadObject } from './linux-object.ts';
import { createMap, openPinnedMap } from './open-map.ts';
import type { TestRunInput, TestRunResult } from './test-run.ts';

/** eBPF through libbpf; see {@link BpfPort}. Remembers what it loaded and attached, to be able to describe it. */
export class LinuxBpf implements BpfPort, Disposable {
  readonly tcMode: 'tcx' | 'clsact';
  readonly #context: ObjectContext;
  readonly #objects = new Set<LinuxObject>();
  readonly #attached = new Map<BpfAttachment, AttachedProgram>();
  readonly #maps = new Set<BpfMap & Disposable>();

  constructor(context: ObjectContext) {
    this.tcMode = context.tcMode;
    this.#context = context;
  }

  async load(spec: BpfObjectSpec): Promise<LinuxBpfObject> {
    const object = loadObject(spec, this.#context);
    this.#objects.add(object);
    return {
      programs: object.programs,
      map: (name) => object.map(name),
      attach: async (program, hook, options) => {
        const attachment = await object.attach(program, hook, options);
        return this.#remember(attachment, { program, hook, ...options });
      },
      testRun: (program, input) => object.testRun(program, input),
      [Symbol.dispose]: () => {
        this.#objects.delete(object);
        object[Symbol.dispose]();
      },
    };
  }

  createMap(spec: BpfMapSpec): BpfMap & Disposable {
    return this.#keep(createMap(spec));
  }

  openMap(path: string): (BpfMap & Disposable) | undefined {
    const map = openPinnedMap(path);
    return map && this.#keep(map);
  }

  /** Programs attached through this port and not detached since. */
  attached(): readonly AttachedProgram[] {
    return [...this.#attached.values()];
  }

  /** Maps of the objects loaded, and those made or opened, that are still open. */
  maps(): readonly BpfMap[] {
    return [...[...this.#objects].flatMap((object) => object.maps.map((name) => object.map(name))), ...this.#maps];
  }

  [Symbol.dispose](): void {
    for (const attachment of this.#attached.keys()) attachment[Symbol.dispose]();
    for (const object of this.#objects) object[Symbol.dispose]();
    for (const map of this.#maps) map[Symbol.dispose]();
    this.#attached.clear();
    this.#objects.clear();
    this.#maps.clear();
  }

  #remember(attachment: BpfAttachment, program: AttachedProgram): BpfAttachment {
    // The same pin holds the same link: what ran there before has been replaced.
    for (const [earlier, other] of this.#attached) {
      const same = other.pinName === program.pinName && isDeepStrictEqual(other.hook, program.hook);
      if (program.pinName === undefined || !same) continue;
      earlier[Symbol.dispose]();
      this.#attached.delete(earlier);
    }
    this.#attached.set(attachment, program);
    return {
      hook: attachment.hook,
      detach: async () => {
        this.#attached.delete(attachment);
        await attachment.detach();
      },
      [Symbol.dispose]: () => {
        // Unpinned, the link ends with its descriptor.
        if (program.pinName === undefined) this.#attached.delete(attachment);
        attachment[Symbol.dispose]();
      },
    };
  }

  #keep(map: BpfMap & Disposable): BpfMap & Disposable {
    const close = map[Symbol.dispose].bind(map);
    const kept = Object.assign(map, {
      [Symbol.dispose]: (): void => {
        this.#maps.delete(kept);
        close();
      },
    });
    this.#maps.add(kept);
    return kept;
  }
}

/** What the real kernel offers beyond the port. */
export interface LinuxBpfObject extends BpfObject {
  /** Runs a tc program on a packet and tells what became of it; nothing is sent. For tests. */
  testRun(program: string, input: TestRunInput): TestRunResult;
}

/** A program at its hook, as `describe` prints it. */
export interface AttachedProgram {
  readonly program: string;
  readonly hook: BpfHook;
  readonly pinName?: string;
}
