import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  type BpfAttachment,
  type BpfHook,
  type BpfMap,
  type BpfMapSpec,
  type BpfObject,
  type BpfObjectSpec,
  type BpfPort,
  PinnedMapError,
} from '../ports/index.ts';
import { type AttachedProgram, type ObjectLayout, checkSpec, hookName, pinPathOf, readBtf } from '../bpf/index.ts';
import { errnos, kernelError } from '../abi/index.ts';
import { MemoryMap } from './memory-map.ts';

interface Attached extends AttachedProgram {
  readonly pinPath?: string;
}

/**
 * eBPF without a kernel: maps hold what is written, programs are known by name and run never. Pinned maps and
 * attachments outlive the object that made them, as they do in the kernel.
 */
export class MemoryBpf implements BpfPort {
  readonly tcMode: 'tcx' | 'clsact';
  readonly #linkExists: (index: number) => boolean;
  readonly #pinned = new Map<string, MemoryMap>();
  readonly #open = new Set<MemoryMap>();
  #attached: Attached[] = [];

  constructor(tcMode: 'tcx' | 'clsact', linkExists: (index: number) => boolean) {
    this.tcMode = tcMode;
    this.#linkExists = linkExists;
  }

  async load(spec: BpfObjectSpec): Promise<BpfObject> {
    const layout = readBtf(spec.path);
    checkSpec(spec, layout);
    const maps = this.#mapsFor(spec, layout);
    for (const map of maps.values()) this.#open.add(map);
    let closed = false;
    const usable = (): void => {
      if (closed) throw new TypeError(`${spec.path} is closed`);
    };
    const programs = layout.programs.map(({ name }) => name);
    return {
      programs,
      map: (name) => {
        usable();
        const map = maps.get(name);
        if (!map) throw new RangeError(`${spec.path} has no map ${name}`);
        return map;
      },
      attach: async (program, hook, options = {}) => {
        usable();
        if (!programs.includes(program)) throw new RangeError(`${spec.path} has no program ${program}`);
        return this.#attach(program, hook, options.pinName, spec);
      },
      [Symbol.dispose]: () => {
        closed = true;
        for (const map of maps.values()) if (spec.pinDirectory === undefined) this.#open.delete(map);
      },
    };
  }

  createMap(spec: BpfMapSpec): BpfMap & Disposable {
    return this.#disposable(new MemoryMap(spec), false);
  }

  openMap(path: string): (BpfMap & Disposable) | undefined {
    const map = this.#pinned.get(path);
    return map && this.#disposable(map, true);
  }

  attached(): readonly AttachedProgram[] {
    return this.#attached;
  }

  maps(): readonly BpfMap[] {
    return [...this.#open];
  }

  /** Programs and their pins go with their device. */
  linkDeleted(index: number): void {
    this.#attached = this.#attached.filter(({ hook }) => !(hook.type === 'tc' && hook.link === index));
  }

  #mapsFor(spec: BpfObjectSpec, layout: ObjectLayout): Map<string, MemoryMap> {
    const maps = new Map<string, MemoryMap>();
    for (const declared of layout.maps.values()) {
      const wanted = { ...declared, maxEntries: spec.maxEntries?.[declared.name] ?? declared.maxEntries };
      const path = spec.pinDirectory === undefined ? undefined : join(spec.pinDirectory, wanted.name);
      const earlier = path === undefined ? undefined : this.#pinned.get(path);
      if (path !== undefined && earlier && !isDeepStrictEqual(earlier.spec, wanted))
        throw new PinnedMapError(path, spec.path);
      maps.set(wanted.name, earlier ?? new MemoryMap(wanted));
    }
    // Pinned once all are known to be good, as nothing stays of an object that is refused.
    if (spec.pinDirectory !== undefined)
      for (const [name, map] of maps) this.#pinned.set(join(spec.pinDirectory, name), map);
    return maps;
  }

  #attach(program: string, hook: BpfHook, pinName: string | undefined, spec: BpfObjectSpec): BpfAttachment {
    if (hook.type === 'tc' && !this.#linkExists(hook.link))
      throw kernelError(`Cannot attach program ${program} at ${hookName(hook)}`, errnos.ENODEV);
    const pinPath = pinPathOf(spec, pinName);
    const replaces = (other: Attached): boolean =>
      pinPath !== undefined
        ? other.pinPath === pinPath
        : this.tcMode === 'clsact' && hook.type === 'tc' && isDeepStrictEqual(other.hook, hook);
    const attached: Attached = {
      program,
      hook,
      ...(pinName === undefined ? {} : { pinName }),
      ...(pinPath === undefined ? {} : { pinPath }),
    };
    this.#attached = [...this.#attached.filter((other) => !replaces(other)), attached];
    const end = (): void => {
      this.#attached = this.#attached.filter((other) =>
        pinPath === undefined ? other !== attached : other.pinPath !== pinPath,
      );
    };
    return {
      hook,
      detach: async () => end(),
      [Symbol.dispose]: () => {
        if (pinPath === undefined) end();
      },
    };
  }

  #disposable(map: MemoryMap, pinned: boolean): BpfMap & Disposable {
    this.#open.add(map);
    let closed = false;
    const used = (): MemoryMap => {
      if (closed) throw new TypeError(`Map ${map.spec.name} is closed`);
      return map;
    };
    return {
      spec: map.spec,
      lookup: (key) => used().lookup(key),
      update: (key, value) => used().update(key, value),
      delete: (key) => used().delete(key),
      updateBatch: async (keys, values, count) => used().updateBatch(keys, values, count),
      deleteBatch: async (keys, count) => used().deleteBatch(keys, count),
      dump: async (visit) => used().dump(visit),
      [Symbol.dispose]: () => {
        closed = true;
        if (!pinned) this.#open.delete(map);
      },
    };
  }
}
