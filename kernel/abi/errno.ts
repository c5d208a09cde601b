import { constants } from 'node:os';
import { KernelError } from '../ports/index.ts';

/** Numbers of Linux errnos that this room decides upon (asm-generic/errno.h; equal on x86-64 and arm64). */
export const errnos = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  ENOTDIR: 20,
  EINVAL: 22,
  ENOSPC: 28,
  ENOLINK: 67,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  EINPROGRESS: 115,
} as const;

/** Kernel-internal numbers that reach user space all the same (`ENOTSUPP` from BPF). */
const internal = new Map([[524, 'ENOTSUPP']]);

let names: Map<number, string> | undefined;

/** `ENODEV` for 19; `E<number>` for one without a name. Accepts negative numbers as libbpf returns them. */
export function errnoName(errno: number): string {
  const positive = Math.abs(errno);
  names ??= namesByNumber();
  return names.get(positive) ?? internal.get(positive) ?? `E${positive}`;
}

/** The error for a failed operation, from a positive or negative errno. */
export function kernelError(operation: string, errno: number, options?: ErrorOptions): KernelError {
  return new KernelError(operation, Math.abs(errno), errnoName(errno), options);
}

function namesByNumber(): Map<number, string> {
  const result = new Map<number, string>();
  // Node's table is of the machine it runs on, and lacks some; on Linux the first name of a number wins (EAGAIN, not EWOULDBLOCK).
  if (process.platform === 'linux')
    for (const [name, number] of Object.entries(constants.errno)) if (!result.has(number)) result.set(number, name);
  for (const [name, number] of Object.entries(errnos)) result.set(number, name);
  return result;
}
