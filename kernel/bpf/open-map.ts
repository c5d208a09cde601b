import { closeSync } from 'node:fs';
import { basename } from 'node:path';
import type { BpfMap, BpfMapSpec } from '../ports/index.ts';
import { checkedBpf, failedWith, libbpf } from './libbpf.ts';
import { LinuxMap } from './linux-map.ts';
import { creationFlags, mapTypeNumber, mapTypeOf } from './map-types.ts';
import { PerCpuArray } from './percpu-array.ts';

/** Facts of a map as the kernel tells them (`struct bpf_map_info`). @throws {RangeError} for a type that is not offered. */
export function mapSpecOf(fd: number, name: string): BpfMapSpec {
  const info = Buffer.alloc(80);
  const length = new Uint32Array([info.length]);
  checkedBpf(`Cannot read about map ${name}`, libbpf.bpf_obj_get_info_by_fd(fd, info, length));
  const type = mapTypeOf(info.readUInt32LE(0));
  if (!type) throw new RangeError(`Map ${name} has the unknown type ${info.readUInt32LE(0)}`);
  return {
    name,
    type,
    keySize: info.readUInt32LE(8),
    valueSize: info.readUInt32LE(12),
    maxEntries: info.readUInt32LE(16),
  };
}

/** Access to a map whose descriptor `fd` returns (and checks that it is still open). */
export function mapAccess(spec: BpfMapSpec, fd: () => number): BpfMap {
  return spec.type === 'percpu-array' ? new PerCpuArray(spec, fd) : new LinuxMap(spec, fd);
}

/** A new map that nobody else knows. */
export function createMap(spec: BpfMapSpec): BpfMap & Disposable {
  // struct bpf_map_create_opts: sz 0, btf ids 8–16, btf value type 20, inner map 24, map_flags 28, …
  const options = Buffer.alloc(48);
  options.writeBigUInt64LE(48n, 0);
  options.writeUInt32LE(creationFlags(spec.type), 28);
  const { keySize, valueSize, maxEntries } = spec;
  const number = mapTypeNumber(spec.type);
  // The kernel keeps 15 bytes of a name, of letters, digits, `_` and `.`.
  const name = spec.name.replaceAll(/[^\w.]/g, '_').slice(0, 15);
  const fd = checkedBpf(
    `Cannot create map ${spec.name}`,
    libbpf.bpf_map_create(number, name, keySize, valueSize, maxEntries, options),
  );
  return owned(spec, fd);
}

/** A pinned map; undefined when nothing is pinned at `path`. */
export function openPinnedMap(path: string): (BpfMap & Disposable) | undefined {
  const fd = libbpf.bpf_obj_get(path);
  if (failedWith(fd, 'ENOENT')) return undefined;
  checkedBpf(`Cannot open the pinned map ${path}`, fd);
  try {
    return owned(mapSpecOf(fd, basename(path)), fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function owned(spec: BpfMapSpec, fd: number): BpfMap & Disposable {
  let open = true;
  const map = mapAccess(spec, () => {
    if (!open) throw new TypeError(`Map ${spec.name} is closed`);
    return fd;
  });
  return Object.assign(map, {
    [Symbol.dispose]: (): void => {
      if (open) closeSync(fd);
      open = false;
    },
  });
}
