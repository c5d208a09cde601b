import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type BpfAttachment, type BpfHook, type BpfMap, type BpfObject, type BpfObjectSpec } from '../ports/index.ts';
import { KernelError, PinnedMapError } from '../ports/index.ts';
import { errnoName } from '../abi/index.ts';
import { type ObjectLayout, readBtf } from './btf.ts';
import { attachCgroup } from './cgroup-link.ts';
import { attachClsact, dropClsact } from './clsact.ts';
import { type Handle, checkedBpf, checkedPointer, libbpf, withLibbpfLog } from './libbpf.ts';
import { dropPinnedLink } from './link-attachment.ts';
import { mapAccess, mapSpecOf } from './open-map.ts';
import { attachTcx } from './tcx.ts';
import { type TestRunInput, type TestRunResult, testRun } from './test-run.ts';

export interface ObjectContext {
  readonly tcMode: 'tcx' | 'clsact';
  readonly inside: <T>(body: () => T) => T;
}

/** Opens, sizes, configures and loads an object file. @throws {KernelError} with libbpf's and the verifier's log. */
export function loadObject(spec: BpfObjectSpec, context: ObjectContext): LinuxObject {
  const layout = readBtf(spec.path);
  checkSpec(spec, layout);
  if (spec.pinDirectory !== undefined) mkdirSync(spec.pinDirectory, { recursive: true, mode: 0o700 });
  return withLibbpfLog((log) => {
    const operation = `Cannot load ${spec.path}`;
    const object = checkedPointer(operation, libbpf.bpf_object__open_file(spec.path, null));
    try {
      prepare(object, spec);
      const result = libbpf.bpf_object__load(object);
      if (result < 0) throw loadError(operation, result, log.join(''), spec);
      return new LinuxObject(object, spec, layout, context);
    } catch (error) {
      libbpf.bpf_object__close(object);
      throw error;
    }
  });
}

/** A loaded object; see {@link BpfObject}. */
export class LinuxObject implements BpfObject {
  readonly programs: readonly string[];
  readonly #maps = new Map<string, BpfMap>();
  readonly #layout: ObjectLayout;
  readonly #spec: BpfObjectSpec;
  readonly #context: ObjectContext;
  #object: Handle;

  constructor(object: Handle, spec: BpfObjectSpec, layout: ObjectLayout, context: ObjectContext) {
    this.#object = object;
    this.#spec = spec;
    this.#layout = layout;
    this.#context = context;
    this.programs = layout.programs.map(({ name }) => name);
  }

  get maps(): readonly string[] {
    return [...this.#layout.maps.keys()];
  }

  map(name: string): BpfMap {
    const known = this.#maps.get(name);
    if (known) return known;
    if (!this.#layout.maps.has(name)) throw new RangeError(`${this.#spec.path} has no map ${name}`);
    const handle = checkedPointer(`Cannot find map ${name}`, libbpf.bpf_object__find_map_by_name(this.#open(), name));
    const fd = libbpf.bpf_map__fd(handle);
    const map = mapAccess(mapSpecOf(fd, name), () => {
      this.#open();
      return fd;
    });
    this.#maps.set(name, map);
    return map;
  }

  async attach(program: string, hook: BpfHook, options: { readonly pinName?: string } = {}): Promise<BpfAttachment> {
    const attachment = this.#attach(program, hook, pinPathOf(this.#spec, options.pinName));
    // A TCX attachment holds the thread for about 10 ms; let others have a turn before the next one.
    await setImmediate();
    return attachment;
  }

  /** Runs a tc program on a packet; for tests. @throws {RangeError} when the object has no such program. */
  testRun(program: string, input: TestRunInput): TestRunResult {
    return this.#context.inside(() => testRun(this.#programFd(program), program, input));
  }

  [Symbol.dispose](): void {
    if (this.#object === undefined) return;
    libbpf.bpf_object__close(this.#object);
    this.#object = undefined;
    this.#maps.clear();
  }

  #attach(program: string, hook: BpfHook, pinPath: string | undefined): BpfAttachment {
    const { tcMode, inside } = this.#context;
    const name = `program ${program} at ${hookName(hook)}`;
    const fd = this.#programFd(program);
    if (hook.type === 'cgroup') return attachCgroup(hook, fd, name, pinPath);
    if (tcMode === 'tcx') {
      const attachment = attachTcx(hook, fd, name, inside, pinPath);
      // An earlier process of ours may have run with clsact: packets would pass both.
      if (pinPath !== undefined) dropClsact(hook, this.programs, inside);
      return attachment;
    }
    const attachment = attachClsact(hook, fd, name, inside);
    if (pinPath !== undefined) dropPinnedLink(pinPath);
    return attachment;
  }

  #programFd(program: string): number {
    const handle = libbpf.bpf_object__find_program_by_name(this.#open(), program);
    if (handle === null) throw new RangeError(`${this.#spec.path} has no program ${program}`);
    return checkedBpf(`Cannot open program ${program}`, libbpf.bpf_program__fd(handle));
  }

  #open(): Handle {
    if (this.#object === undefined) throw new TypeError(`${this.#spec.path} is closed`);
    return this.#object;
  }
}

/** `tc ingress of link 7`, `cgroup connect4 of /sys/fs/cgroup/…`. */
export function hookName(hook: BpfHook): string {
  return hook.type === 'tc' ? `tc ${hook.direction} of link ${hook.link}` : `cgroup ${hook.attach} of ${hook.path}`;
}

/**
 * Where an attachment of that name is pinned; undefined without a name.
 * @throws {RangeError} for a name that bpffs refuses, or an object without pin directory.
 */
export function pinPathOf(spec: BpfObjectSpec, pinName: string | undefined): string | undefined {
  if (pinName === undefined) return undefined;
  if (spec.pinDirectory === undefined)
    throw new RangeError(`${spec.path} was loaded without pin directory: ${pinName} cannot be pinned`);
  if (!/^[^./]+$/.test(pinName)) throw new RangeError(`Not a name of a pin: ${JSON.stringify(pinName)}`);
  return join(spec.pinDirectory, pinName);
}

/** Checks of an object's options that need no kernel. @throws {RangeError} */
export function checkSpec(spec: BpfObjectSpec, layout: ObjectLayout): void {
  for (const name of Object.keys(spec.maxEntries ?? {}))
    if (!layout.maps.has(name)) throw new RangeError(`${spec.path} has no map ${name}`);
  if (!spec.rodata) return;
  const size = layout.rodata?.bytes.length ?? 0;
  if (spec.rodata.length !== size)
    throw new RangeError(`The configuration of ${spec.path} has ${size} bytes, not ${spec.rodata.length}`);
}

function prepare(object: Handle, spec: BpfObjectSpec): void {
  for (
    let map = libbpf.bpf_object__next_map(object, null);
    map !== null;
    map = libbpf.bpf_object__next_map(object, map)
  ) {
    const name = libbpf.bpf_map__name(map);
    if (libbpf.bpf_map__is_internal(map)) continue;
    const maxEntries = spec.maxEntries?.[name];
    if (maxEntries !== undefined)
      checkedBpf(`Cannot set the size of map ${name}`, libbpf.bpf_map__set_max_entries(map, maxEntries));
    const path = spec.pinDirectory === undefined ? null : join(spec.pinDirectory, name);
    checkedBpf(`Cannot set the pin path of map ${name}`, libbpf.bpf_map__set_pin_path(map, path));
  }
  if (!spec.rodata) return;
  const rodata = checkedPointer('Cannot find .rodata', libbpf.bpf_object__find_map_by_name(object, '.rodata'));
  const result = libbpf.bpf_map__set_initial_value(rodata, Buffer.from(spec.rodata), spec.rodata.length);
  checkedBpf(`Cannot configure ${spec.path}`, result);
}

function loadError(operation: string, result: number, log: string, spec: BpfObjectSpec): KernelError {
  const mismatch = /couldn't reuse pinned map at '([^']+)'/.exec(log);
  if (mismatch) return new PinnedMapError(mismatch[1] ?? spec.pinDirectory ?? '', spec.path);
  return new KernelError(operation, -result, errnoName(result), { detail: log.trim() });
}
