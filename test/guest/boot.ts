import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guestKernel } from './guest-kernel.ts';

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

/**
 * Boots Debian's kernel in QEMU (emulated: no speed is measured in it) on the file system of this machine, read-only under a
 * writable layer, and runs one Node script of this checkout.
 */
export async function runInGuest(script: string, options: { readonly timeoutMs: number }): Promise<GuestRun> {
  const kernel = await guestKernel();
  const out = mkdtempSync(join(tmpdir(), 'isthmus-guest-'));
  const top = join(import.meta.dirname, '..', '..');
  try {
    const parameters = `console=ttyS0 panic=-1 quiet mitigations=off nokaslr tsc=reliable isthmus.node=${process.execPath} isthmus.run=${script} isthmus.dir=${top}`;
    const qemu = spawn(
      'qemu-system-x86_64',
      [
        ['-M', 'pc', '-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'Nehalem', '-m', '2G', '-smp', '2'],
        ['-display', 'none', '-no-reboot', '-nodefaults', '-serial', `file:${join(out, 'console')}`],
        ['-kernel', kernel.image, '-initrd', kernel.initrd, '-append', parameters],
        ['-fsdev', 'local,id=h,path=/,security_model=none,readonly=on,multidevs=remap'],
        ['-device', 'virtio-9p-pci,fsdev=h,mount_tag=host'],
        ['-fsdev', `local,id=o,path=${out},security_model=none`, '-device', 'virtio-9p-pci,fsdev=o,mount_tag=out'],
        ['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
      ].flat(),
      { stdio: ['ignore', 'ignore', 'pipe'], timeout: options.timeoutMs, killSignal: 'SIGKILL' },
    );
    let complaints = '';
    qemu.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
    await new Promise<void>((resolve, reject) => {
      qemu.once('error', reject);
      qemu.once('close', () => resolve());
    });
    const read = (name: string): string => (existsSync(join(out, name)) ? readFileSync(join(out, name), 'utf8') : '');
    const code = read('code').trim();
    return {
      code: code === '' ? undefined : Number(code),
      output: read('output'),
      errors: read('errors') + complaints,
      console: read('console').split('\n').slice(-40).join('\n'),
      kernelVersion: kernel.version,
    };
  } finally {
    rmSync(out, { recursive: true, force: true });
    rmSync(kernel.initrd, { force: true });
  }
}
