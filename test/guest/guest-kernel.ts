import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A kernel to boot, with an initial RAM disk that finds the host's file system. */
export interface GuestKernel {
  /** Such as `6.1.0-56-amd64`. */
  readonly version: string;
  readonly image: string;
  readonly initrd: string;
}

/** Debian 12's own kernel, the oldest that isthmus supports. The name leads to the package of the current version. */
const metaPackage = 'linux-image-amd64';
const always = ['virtio_pci', '9pnet_virtio', '9p', 'overlay'];
/** What a guest is for; its modules are loaded in this order, each behind what it depends on. */
const purposes = {
  datapath: [...always, 'virtio_console', 'veth', 'vxlan', 'sch_ingress', 'cls_bpf'],
  disk: [...always, 'virtio_blk', 'ext4'],
} as const;
export type GuestPurpose = keyof typeof purposes;
/** Parts of the package that hold them; the whole is 400 MB. */
const subtrees = [
  'arch',
  'crypto',
  'drivers/block',
  'drivers/char',
  'drivers/net',
  'drivers/virtio',
  'fs',
  'lib',
  'mm',
  'net',
];

/**
 * Debian's kernel, downloaded by apt and unpacked without being installed, once a machine and version; later calls take
 * it from the cache.
 * @throws when the package cannot be had: the message has apt's words.
 */
export async function guestKernel(): Promise<GuestKernel> {
  const name = await packageName();
  const version = name.replace('linux-image-', '');
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'isthmus-test-servers');
  // Another list of modules is another guest.
  const content = createHash('sha256')
    .update(JSON.stringify([purposes, subtrees]))
    .digest('hex')
    .slice(0, 8);
  const directory = join(cache, `guest-${version}-${content}`);
  if (!existsSync(directory)) await prepare(name, version, directory);
  const init = readFileSync(new URL('init.sh', import.meta.url));
  const initrd = join(directory, `initrd-${process.pid}`);
  await makeInitrd(directory, init, initrd);
  return { version, image: join(directory, 'vmlinuz'), initrd };
}

async function packageName(): Promise<string> {
  const depends = async (): Promise<string | undefined> => {
    const { stdout } = await run('apt-cache', ['depends', metaPackage]).catch(() => ({ stdout: '' }));
    return /Depends: (linux-image-\S+)/.exec(stdout)?.[1];
  };
  const name = await depends();
  if (name !== undefined) return name;
  await run('apt-get', ['update'], { timeout: 120_000 });
  const afterUpdate = await depends();
  if (afterUpdate === undefined) throw new Error(`apt knows no package ${metaPackage}`);
  return afterUpdate;
}

async function prepare(name: string, version: string, directory: string): Promise<void> {
  const work = `${directory}.${process.pid}`;
  mkdirSync(join(work, 'root'), { recursive: true });
  try {
    // _apt, the user that apt downloads as, cannot write here; apt says so and goes on as root.
    await run('apt-get', ['download', name], { cwd: work, timeout: 600_000 });
    const archive = readdirSync(work).find((file) => file.endsWith('.deb'));
    if (archive === undefined) throw new Error(`apt-get download ${name} left no package`);
    const wanted = [`./boot/vmlinuz-${version}`, `./lib/modules/${version}/modules.*`];
    const trees = subtrees.map((tree) => `./lib/modules/${version}/kernel/${tree}`);
    await run(
      'sh',
      ['-c', 'dpkg-deb --fsys-tarfile "$0" | tar -x -C root --wildcards "$@"', archive, ...wanted, ...trees],
      { cwd: work, timeout: 300_000 },
    );
    await run('depmod', ['-b', join(work, 'root'), version]);
    mkdirSync(join(work, 'modules'));
    for (const [purpose, modules] of Object.entries(purposes)) {
      const order = new Set<string>();
      for (const module of modules) {
        const { stdout } = await run('modprobe', ['-d', join(work, 'root'), '-S', version, '--show-depends', module]);
        for (const [, path = ''] of stdout.matchAll(/^insmod (\S+)/gm)) {
          const file = basename(path).replace(/\.xz$/, '');
          order.add(file);
          if (existsSync(join(work, 'modules', file))) continue;
          copyFileSync(path, join(work, 'modules', basename(path)));
          if (path.endsWith('.xz')) await run('unxz', [join(work, 'modules', basename(path))]);
        }
      }
      writeFileSync(join(work, 'modules', `order-${purpose}`), `${[...order].join('\n')}\n`);
    }
    renameSync(join(work, 'root', 'boot', `vmlinuz-${version}`), join(work, 'vmlinuz'));
    rmSync(join(work, archive));
    rmSync(join(work, 'root'), { recursive: true });
    renameSync(work, directory);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function makeInitrd(directory: string, init: Buffer, path: string): Promise<void> {
  const tree = `${path}.d`;
  mkdirSync(join(tree, 'bin'), { recursive: true });
  try {
    copyFileSync('/bin/busybox', join(tree, 'bin', 'busybox'));
    writeFileSync(join(tree, 'init'), init, { mode: 0o755 });
    await run('sh', [
      '-c',
      'cp -r "$0"/modules "$1"/modules && cd "$1" && find . | cpio -o -H newc --quiet > "$2"',
      directory,
      tree,
      path,
    ]);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}
