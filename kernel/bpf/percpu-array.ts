import { setImmediate } from 'node:timers/promises';
import type { BpfMap, BpfMapSpec } from '../ports/index.ts';
import { checkedBpf, failedWith, libbpf } from './libbpf.ts';
import { checkPacked } from './packed.ts';

/**
 * An array with a value for each possible CPU. Read as the sum of its 64-bit words over CPUs; a value written goes to
 * the first CPU and zero to the others, so that it reads back as written. Meant for counters, so it is small: no batches.
 */
export class PerCpuArray implements BpfMap {
  readonly spec: BpfMapSpec;
  readonly #fd: () => number;
  readonly #cpus: number;
  readonly #stride: number;

  constructor(spec: BpfMapSpec, fd: () => number) {
    if (spec.valueSize % 8 !== 0)
      throw new RangeError(`Values of per-CPU map ${spec.name} are no 64-bit words: ${spec.valueSize} bytes`);
    this.spec = spec;
    this.#fd = fd;
    this.#cpus = checkedBpf('Cannot count the possible CPUs', libbpf.libbpf_num_possible_cpus());
    this.#stride = spec.valueSize;
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    checkPacked(key, this.spec.keySize, 1);
    const all = Buffer.alloc(this.#stride * this.#cpus);
    const result = libbpf.bpf_map_lookup_elem(this.#fd(), key, all);
    if (failedWith(result, 'ENOENT')) return undefined;
    checkedBpf(`Cannot look up map ${this.spec.name}`, result);
    const sum = Buffer.alloc(this.#stride);
    for (let word = 0; word < this.#stride; word += 8) {
      let total = 0n;
      for (let cpu = 0; cpu < this.#cpus; cpu++) total += all.readBigUInt64LE(cpu * this.#stride + word);
      sum.writeBigUInt64LE(BigInt.asUintN(64, total), word);
    }
    return sum;
  }

  update(key: Uint8Array, value: Uint8Array): void {
    checkPacked(key, this.spec.keySize, 1);
    checkPacked(value, this.spec.valueSize, 1);
    const all = Buffer.alloc(this.#stride * this.#cpus);
    all.set(value);
    checkedBpf(`Cannot update map ${this.spec.name}`, libbpf.bpf_map_update_elem(this.#fd(), key, all, 0));
  }

  /** Elements of an array cannot be removed. @throws {KernelError} `EINVAL`, as the kernel says. */
  delete(key: Uint8Array): boolean {
    checkPacked(key, this.spec.keySize, 1);
    checkedBpf(`Cannot delete from map ${this.spec.name}`, libbpf.bpf_map_delete_elem(this.#fd(), key));
    return true;
  }

  async updateBatch(keys: Uint8Array, values: Uint8Array, count: number): Promise<void> {
    const { keySize, valueSize } = this.spec;
    for (let i = 0; i < count; i++) {
      this.update(keys.subarray(i * keySize, (i + 1) * keySize), values.subarray(i * valueSize, (i + 1) * valueSize));
      if (i % 1024 === 1023) await setImmediate();
    }
  }

  async deleteBatch(keys: Uint8Array, count: number): Promise<void> {
    for (let i = 0; i < count; i++) this.delete(keys.subarray(i * this.spec.keySize, (i + 1) * this.spec.keySize));
  }

  async dump(visit: (key: Uint8Array, value: Uint8Array) => void): Promise<void> {
    const key = Buffer.alloc(this.spec.keySize);
    for (let i = 0; i < this.spec.maxEntries; i++) {
      key.writeUInt32LE(i);
      const value = this.lookup(key);
      if (value) visit(key, value);
      if (i % 1024 === 1023) await setImmediate();
    }
  }
}
