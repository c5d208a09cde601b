import { setImmediate } from 'node:timers/promises';
import type { BpfMap, BpfMapSpec } from '../ports/index.ts';
import { checkPacked } from '../bpf/index.ts';
import { errnos, kernelError } from '../abi/index.ts';
import { type Entries, entriesFor } from './entries.ts';

/** A map in memory, with the refusals of the kernel: a full one says E2BIG or ENOSPC, an array is never short of entries. */
export class MemoryMap implements BpfMap {
  readonly spec: BpfMapSpec;
  readonly #entries: Entries;

  /** @throws {KernelError} `EINVAL` for sizes the kernel does not allow. */
  constructor(spec: BpfMapSpec) {
    const isArray = spec.type === 'array' || spec.type === 'percpu-array';
    const smallest = spec.type === 'lpm-trie' ? 5 : 1;
    const refused =
      spec.maxEntries <= 0 || spec.valueSize <= 0 || spec.keySize < smallest || (isArray && spec.keySize !== 4);
    if (refused) throw kernelError(`Cannot create map ${spec.name}`, errnos.EINVAL);
    this.spec = spec;
    this.#entries = entriesFor(spec);
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    checkPacked(key, this.spec.keySize, 1);
    const value = this.#entries.get(key);
    return value && Buffer.from(value);
  }

  update(key: Uint8Array, value: Uint8Array): void {
    checkPacked(key, this.spec.keySize, 1);
    checkPacked(value, this.spec.valueSize, 1);
    const errno = this.#entries.set(Buffer.from(key), Buffer.from(value));
    if (errno !== 0) throw kernelError(`Cannot update map ${this.spec.name}`, errno);
  }

  delete(key: Uint8Array): boolean {
    checkPacked(key, this.spec.keySize, 1);
    const errno = this.#entries.delete(key);
    if (errno === errnos.ENOENT) return false;
    if (errno !== 0) throw kernelError(`Cannot delete from map ${this.spec.name}`, errno);
    return true;
  }

  async updateBatch(keys: Uint8Array, values: Uint8Array, count: number): Promise<void> {
    const { name, keySize, valueSize } = this.spec;
    checkPacked(keys, keySize, count);
    checkPacked(values, valueSize, count);
    for (let i = 0; i < count; i++) {
      if (i % 1024 === 1023) await setImmediate();
      const key = Buffer.from(keys.subarray(i * keySize, (i + 1) * keySize));
      const errno = this.#entries.set(key, Buffer.from(values.subarray(i * valueSize, (i + 1) * valueSize)));
      if (errno !== 0) throw kernelError(`Cannot update map ${name} at entry ${i} of ${count}`, errno);
    }
  }

  async deleteBatch(keys: Uint8Array, count: number): Promise<void> {
    const { keySize } = this.spec;
    checkPacked(keys, keySize, count);
    for (let i = 0; i < count; i++) this.delete(keys.subarray(i * keySize, (i + 1) * keySize));
  }

  async dump(visit: (key: Uint8Array, value: Uint8Array) => void): Promise<void> {
    // A copy, since `visit` may delete what it sees.
    const all = [...this.#entries.all()];
    for (const [key, value] of all) visit(Buffer.from(key), Buffer.from(value));
  }
}
