import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type GuestPurpose, guestKernel } from './guest-kernel.ts';

/** What a script in a guest said. */
export interface GuestRun {
  /** Undefined when the guest died before the script ended. */
  readonly code: number | undefined;
  readonly output: string;
  readonly errors: string;
  /** Last lines of the kernel's console. */
  readonly console: string;
  readonly kernelVersion: string;
}

export interface GuestOptions {
  /** One Node script of this checkout. */
  readonly script: string;
  readonly args?: readonly string[];
  readonly for: GuestPurpose;
  readonly memoryMiB: number;
  readonly processors: number;
  /** Unix socket of an NBD server: the guest's disk. */
  readonly disk?: string;
  /** Node's compile cache, filled on this machine: to strip types takes seconds in a guest. */
  readonly compileCache?: string;
  readonly timeoutMs: number;
}

/** A guest under way. Disposing of it ends it, without asking it. */
export class Guest implements AsyncDisposable {
  /** What the guest has as `/run/out`. */
  readonly directory: string;
  readonly #kernelVersion: string;
  readonly #initrd: string;
  readonly #ended: Promise<void>;
  readonly #qemu: ChildProcess;
  #complaints = '';

  constructor(
    qemu: ChildProcess,
    place: { readonly directory: string; readonly initrd: string; readonly version: string },
  ) {
    this.#qemu = qemu;
    this.directory = place.directory;
    this.#initrd = place.initrd;
    this.#kernelVersion = place.version;
    qemu.stderr?.on('data', (chunk: Buffer) => (this.#complaints += chunk.toString()));
    this.#ended = once(qemu, 'close').then(() => undefined);
    this.#ended.catch(() => undefined);
  }

  get over(): boolean {
    return this.#qemu.exitCode !== null || this.#qemu.signalCode !== null;
  }

  get run(): GuestRun {
    const code = this.read('code').trim();
    return {
      code: code === '' ? undefined : Number(code),
      output: this.read('output'),
      errors: this.read('errors') + this.#complaints,
      console: this.read('console').split('\n').slice(-40).join('\n'),
      kernelVersion: this.#kernelVersion,
    };
  }

  read(name: string): string {
    const path = join(this.directory, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  async end(): Promise<void> {
    await this.#ended;
  }

  /** As if the machine lost its power. */
  async kill(): Promise<void> {
    this.#qemu.kill('SIGKILL');
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
    rmSync(this.#initrd, { force: true });
  }
}

/**
 * Boots Debian's kernel in QEMU (emulated: no speed is measured in it) on the file system of this machine, read-only under a
 * writable layer, and runs one Node script of this checkout.
 */
export async function startGuest(options: GuestOptions): Promise<Guest> {
  const kernel = await guestKernel();
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-guest-'));
  const top = join(import.meta.dirname, '..', '..');
  const parameters = [
    'console=ttyS0 panic=-1 quiet mitigations=off nokaslr tsc=reliable',
    `isthmus.node=${process.execPath} isthmus.run=${options.script} isthmus.dir=${top} isthmus.for=${options.for}`,
    `isthmus.cache=${options.compileCache ?? ''} isthmus.args=${(options.args ?? []).join(',')}`,
  ].join(' ');
  const disk = options.disk && [
    ['-blockdev', `driver=nbd,node-name=disk,server.type=unix,server.path=${options.disk}`],
    ['-device', 'virtio-blk-pci,drive=disk,write-cache=on'],
  ];
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ['-M', 'pc', '-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'Nehalem'],
      ['-m', `${options.memoryMiB}M`, '-smp', String(options.processors)],
      ['-display', 'none', '-no-reboot', '-nodefaults', '-serial', `file:${join(directory, 'console')}`],
      ['-kernel', kernel.image, '-initrd', kernel.initrd, '-append', parameters],
      ['-fsdev', 'local,id=h,path=/,security_model=none,readonly=on,multidevs=remap'],
      ['-device', 'virtio-9p-pci,fsdev=h,mount_tag=host'],
      ['-fsdev', `local,id=o,path=${directory},security_model=none`, '-device', 'virtio-9p-pci,fsdev=o,mount_tag=out'],
      ['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
      ...(disk || []),
    ].flat(),
    { stdio: ['ignore', 'ignore', 'pipe'], timeout: options.timeoutMs, killSignal: 'SIGKILL' },
  );
  return new Guest(qemu, { directory, initrd: kernel.initrd, version: kernel.version });
}

export async function runInGuest(script: string, options: { readonly timeoutMs: number }): Promise<GuestRun> {
  await using guest = await startGuest({ script, for: 'datapath', memoryMiB: 2048, processors: 2, ...options });
  await guest.end();
  return guest.run;
}
