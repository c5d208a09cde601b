export type BpfMapType = 'hash' | 'lru-hash' | 'lpm-trie' | 'array' | 'percpu-array';

export interface BpfMapSpec {
  readonly name: string;
  readonly type: BpfMapType;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

/**
 * One BPF map. Keys and values are raw bytes of exactly the map's sizes; a per-CPU array's value is the sum over CPUs
 * of its 64-bit words. Methods copy what they are given.
 */
export interface BpfMap {
  readonly spec: BpfMapSpec;
  lookup(key: Uint8Array): Uint8Array | undefined;
  update(key: Uint8Array, value: Uint8Array): void;
  /** False when the key was not there. */
  delete(key: Uint8Array): boolean;
  /** `count` keys and values, packed one behind the other. Works in chunks and yields to the event loop in between. */
  updateBatch(keys: Uint8Array, values: Uint8Array, count: number): Promise<void>;
  /** Keys that are not there are passed over. */
  deleteBatch(keys: Uint8Array, count: number): Promise<void>;
  /** Every entry once, in no order. Buffers are valid until `visit` returns. */
  dump(visit: (key: Uint8Array, value: Uint8Array) => void): Promise<void>;
}

/** Where a program runs. */
export type BpfHook =
  | { readonly type: 'tc'; readonly link: number; readonly direction: 'ingress' | 'egress' }
  | { readonly type: 'cgroup'; readonly path: string; readonly attach: CgroupAttach };

export type CgroupAttach =
  | 'connect4'
  | 'connect6'
  | 'sendmsg4'
  | 'sendmsg6'
  | 'recvmsg4'
  | 'recvmsg6'
  | 'getpeername4'
  | 'getpeername6';

export interface BpfObjectSpec {
  /** The compiled object, `…/datapath/bpf/objects/<name>.o`; the in-memory kernel reads its maps and program names too. */
  readonly path: string;
  /** Raw bytes of `.rodata` (`volatile const` configuration), exactly as long as the section. */
  readonly rodata?: Uint8Array;
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Maps are pinned here by name, and an equal pinned map is taken over; absent: nothing is pinned. */
  readonly pinDirectory?: string;
}

/** A loaded object: its programs passed the verifier, its maps exist. Disposing of it closes descriptors, pins stay. */
export interface BpfObject extends Disposable {
  readonly programs: readonly string[];
  /** @throws {RangeError} when the object has no such map. */
  map(name: string): BpfMap;
  /**
   * Runs `program` at `hook`. With `pinName` the attachment is pinned in the object's pin directory and an earlier
   * one of that name and hook is replaced in place, without a moment in which no program runs.
   */
  attach(program: string, hook: BpfHook, options?: { readonly pinName?: string }): Promise<BpfAttachment>;
}

/** An attachment; disposing of it closes the descriptor only, `detach` ends it and removes its pin. */
export interface BpfAttachment extends Disposable {
  readonly hook: BpfHook;
  detach(): Promise<void>;
}

export interface BpfPort {
  /** How tc programs attach: TCX links (kernel ≥ 6.6) or clsact filters. */
  readonly tcMode: 'tcx' | 'clsact';
  /** @throws {KernelError} with the verifier's log when a program is refused. {@link MissingFeatureError} */
  load(spec: BpfObjectSpec): Promise<BpfObject>;
  createMap(spec: BpfMapSpec): BpfMap & Disposable;
  /** A pinned map, or undefined when nothing is pinned there. */
  openMap(path: string): (BpfMap & Disposable) | undefined;
}
