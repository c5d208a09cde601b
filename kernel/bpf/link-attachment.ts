import { closeSync, unlinkSync } from 'node:fs';
import type { BpfAttachment, BpfHook } from '../ports/index.ts';
import { kernelError, systemCode } from '../abi/index.ts';
import { checkedBpf, failedWith, libbpf } from './libbpf.ts';

/** How to make one BPF link, and how to know an existing one as the same. */
export interface LinkRequest {
  readonly hook: BpfHook;
  /** For errors: `program from_pod at tc ingress of link 7`. */
  readonly name: string;
  readonly programFd: number;
  /** `bpf_link_create`, in the right namespace. Returns the descriptor or −errno. */
  readonly create: () => number;
  /** Whether a link, by its `struct bpf_link_info`, still is at this hook. */
  readonly isSame: (info: Buffer) => boolean;
  readonly pinPath?: string;
}

/**
 * Attaches by a BPF link. One that an earlier process pinned is updated to the new program in place, so that no packet
 * meets the hook without program, if it still is where it is meant to be: the pin of a device that was deleted stays, and
 * stays dead even when a device of that index returns. The descriptor is kept open besides the pin: were the pin removed
 * by somebody while nobody holds the link, traffic would stop.
 */
export function attachLink(request: LinkRequest): BpfAttachment {
  const earlier = request.pinPath === undefined ? undefined : openPinned(request.pinPath);
  if (earlier !== undefined && request.isSame(linkInfo(earlier))) {
    const updated = libbpf.bpf_link_update(earlier, request.programFd, null);
    if (updated === 0) return new LinkAttachment(request.hook, earlier, request.pinPath);
    if (!failedWith(updated, 'ENOLINK')) {
      closeSync(earlier);
      throw kernelError(`Cannot update ${request.name}`, updated);
    }
  }
  const link = checkedBpf(`Cannot attach ${request.name}`, request.create());
  // The new one runs before the old one goes.
  if (earlier !== undefined) {
    if (request.pinPath !== undefined) unlinkSync(request.pinPath);
    closeSync(earlier);
  }
  if (request.pinPath !== undefined) {
    const pinned = libbpf.bpf_obj_pin(link, request.pinPath);
    if (pinned < 0) {
      closeSync(link);
      throw kernelError(`Cannot pin ${request.name} at ${request.pinPath}`, pinned);
    }
  }
  return new LinkAttachment(request.hook, link, request.pinPath);
}

/** `struct bpf_link_info`: type 0, id 4, program id 8, then by type from 16. */
export function linkInfo(fd: number): Buffer {
  const info = Buffer.alloc(64);
  checkedBpf('Cannot read about a BPF link', libbpf.bpf_obj_get_info_by_fd(fd, info, new Uint32Array([info.length])));
  return info;
}

/** Removes the pin of a link and lets go of it; used when a hook is served by other means now. */
export function dropPinnedLink(path: string): void {
  const fd = openPinned(path);
  if (fd === undefined) return;
  unlinkSync(path);
  closeSync(fd);
}

function openPinned(path: string): number | undefined {
  const fd = libbpf.bpf_obj_get(path);
  if (failedWith(fd, 'ENOENT')) return undefined;
  return checkedBpf(`Cannot open the pinned link ${path}`, fd);
}

class LinkAttachment implements BpfAttachment {
  readonly hook: BpfHook;
  readonly #pinPath: string | undefined;
  #fd: number;

  constructor(hook: BpfHook, fd: number, pinPath: string | undefined) {
    this.hook = hook;
    this.#fd = fd;
    this.#pinPath = pinPath;
  }

  async detach(): Promise<void> {
    if (this.#fd < 0) return;
    // Explicitly, since another process may hold the link as well. ENOLINK: its device or cgroup is gone already.
    const result = libbpf.bpf_link_detach(this.#fd);
    if (this.#pinPath !== undefined) removePin(this.#pinPath);
    this[Symbol.dispose]();
    if (result < 0 && !failedWith(result, 'ENOLINK', 'ENODEV')) throw kernelError('Cannot detach a BPF link', result);
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

function removePin(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}
