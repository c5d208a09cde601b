import { setImmediate } from 'node:timers/promises';
import type { BpfMap, BpfMapSpec } from '../ports/index.ts';
import { kernelError } from '../abi/index.ts';
import { checkedBpf, failedWith, libbpf } from './libbpf.ts';
import { checkPacked } from './packed.ts';

/** Entries in one system call: large enough that FFI costs nothing, small enough that timers run on time (2 ms). */
const chunk = 1024;

/** A map through its descriptor, which somebody else owns. */
export class LinuxMap implements BpfMap {
  readonly spec: BpfMapSpec;
  readonly #fd: () => number;
  readonly #count = new Uint32Array(1);

  constructor(spec: BpfMapSpec, fd: () => number) {
    this.spec = spec;
    this.#fd = fd;
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    this.#checkKey(key);
    const value = Buffer.alloc(this.spec.valueSize);
    const result = libbpf.bpf_map_lookup_elem(this.#fd(), key, value);
    if (failedWith(result, 'ENOENT')) return undefined;
    checkedBpf(this.#operation('look up'), result);
    return value;
  }

  update(key: Uint8Array, value: Uint8Array): void {
    this.#checkKey(key);
    this.#checkValue(value);
    checkedBpf(this.#operation('update'), libbpf.bpf_map_update_elem(this.#fd(), key, value, 0));
  }

  delete(key: Uint8Array): boolean {
    this.#checkKey(key);
    const result = libbpf.bpf_map_delete_elem(this.#fd(), key);
    if (failedWith(result, 'ENOENT')) return false;
    checkedBpf(this.#operation('delete from'), result);
    return true;
  }

  async updateBatch(keys: Uint8Array, values: Uint8Array, count: number): Promise<void> {
    const { keySize, valueSize } = this.spec;
    checkPacked(keys, keySize, count);
    checkPacked(values, valueSize, count);
    for (let at = 0; at < count; at += chunk) {
      if (at > 0) await setImmediate();
      const size = Math.min(chunk, count - at);
      this.#count[0] = size;
      const result = libbpf.bpf_map_update_batch(
        this.#fd(),
        keys.subarray(at * keySize, (at + size) * keySize),
        values.subarray(at * valueSize, (at + size) * valueSize),
        this.#count,
        null,
      );
      if (result < 0)
        throw kernelError(`${this.#operation('update')} at entry ${at + (this.#count[0] ?? 0)} of ${count}`, result);
    }
  }

  async deleteBatch(keys: Uint8Array, count: number): Promise<void> {
    const { keySize } = this.spec;
    checkPacked(keys, keySize, count);
    let at = 0;
    let done = 0;
    while (at < count) {
      if (done >= chunk) {
        done = 0;
        await setImmediate();
      }
      const size = Math.min(chunk, count - at);
      this.#count[0] = size;
      const part = keys.subarray(at * keySize, (at + size) * keySize);
      const result = libbpf.bpf_map_delete_batch(this.#fd(), part, this.#count, null);
      const deleted = result < 0 ? (this.#count[0] ?? 0) : size;
      // The kernel stops at a key that is not there: go on behind it.
      if (result < 0 && !failedWith(result, 'ENOENT')) throw kernelError(this.#operation('delete from'), result);
      at += result < 0 ? deleted + 1 : size;
      done += deleted + 1;
    }
  }

  async dump(visit: (key: Uint8Array, value: Uint8Array) => void): Promise<void> {
    const { keySize, valueSize } = this.spec;
    let page = new Page(Math.min(chunk, this.spec.maxEntries), keySize, valueSize);
    // A hash table's place in the iteration is a bucket number, so the cursor may be longer than a key.
    let from: Buffer | null = null;
    const next = Buffer.alloc(Math.max(keySize, 8));
    for (;;) {
      this.#count[0] = page.size;
      const result = libbpf.bpf_map_lookup_batch(this.#fd(), from, next, page.keys, page.values, this.#count, null);
      if (failedWith(result, 'ENOSPC')) {
        // One bucket holds more than a whole page.
        page = new Page(page.size * 2, keySize, valueSize);
        continue;
      }
      const end = failedWith(result, 'ENOENT');
      const interrupted = failedWith(result, 'EINTR');
      if (result < 0 && !end && !interrupted) throw kernelError(this.#operation('dump'), result);
      const count = this.#count[0] ?? 0;
      page.visit(count, visit);
      // The last, short page comes together with ENOENT.
      if (end) return;
      if (count > 0 || !interrupted) from = Buffer.from(next);
      await setImmediate();
    }
  }

  #checkKey(key: Uint8Array): void {
    checkPacked(key, this.spec.keySize, 1);
  }

  #checkValue(value: Uint8Array): void {
    checkPacked(value, this.spec.valueSize, 1);
  }

  #operation(verb: string): string {
    return `Cannot ${verb} map ${this.spec.name}`;
  }
}

/** Room for one batch, used again for the next: a view for each entry is made once, not once an entry. */
class Page {
  readonly size: number;
  readonly keys: Buffer;
  readonly values: Buffer;
  readonly #views: readonly (readonly [key: Buffer, value: Buffer])[];

  constructor(size: number, keySize: number, valueSize: number) {
    this.size = size;
    this.keys = Buffer.alloc(size * keySize);
    this.values = Buffer.alloc(size * valueSize);
    this.#views = Array.from({ length: size }, (_, i) => [
      this.keys.subarray(i * keySize, (i + 1) * keySize),
      this.values.subarray(i * valueSize, (i + 1) * valueSize),
    ]);
  }

  visit(count: number, visit: (key: Uint8Array, value: Uint8Array) => void): void {
    for (let i = 0; i < count; i++) {
      const view = this.#views[i];
      if (view) visit(view[0], view[1]);
    }
  }
}
