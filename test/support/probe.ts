import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmdirSync } from 'node:fs';
import { describe, test } from '@jest/globals';
import koffi from 'koffi';
import { createCgroup } from '../../kernel/index.ts';

/** Something that a test needs of the machine and that not every machine has. */
export type Need = keyof typeof probes;

/** Why a need is not met, in words that say what would cure it; undefined when it is met. */
type Probe = () => string | undefined;

const probes = {
  linux: () => (process.platform === 'linux' ? undefined : 'this is not Linux'),
  root: () => (process.getuid?.() === 0 ? undefined : 'not root'),
  /** May make network namespaces. */
  netns: () => (runs('unshare', ['-n', 'true']) ? undefined : 'network namespaces cannot be made (root is needed)'),
  libbpf: () => (loads('libbpf.so.1') ? undefined : 'libbpf.so.1 is missing (apt-get install libbpf1)'),
  /** May create BPF maps. */
  bpf: () => (createsBpfMap() ? undefined : 'the kernel refuses bpf() (root is needed)'),
  cgroup2: () => (makesCgroup() ? undefined : 'no cgroup v2 that may be written to'),
  clang: () => (runs('clang-14', ['--version']) ? undefined : 'clang-14 is missing (apt-get install clang-14 llvm-14)'),
  go: () => (runs('go', ['version']) ? undefined : 'Go is missing, which builds the real servers (go.dev/dl)'),
  /** Real etcd and etcdctl: given, or built by Go into the cache (test/support/etcd.ts). */
  etcd: () =>
    process.env['ISTHMUS_TEST_ETCD'] || runs('go', ['version'])
      ? undefined
      : 'no etcd: Go is missing, which builds it, and ISTHMUS_TEST_ETCD names none',
  /** A real Consul: given, or built by Go into the cache (test/support/consul.ts). */
  consul: () =>
    process.env['ISTHMUS_TEST_CONSUL'] || runs('go', ['version'])
      ? undefined
      : 'no Consul: Go is missing, which builds it, and ISTHMUS_TEST_CONSUL names none',
  /** A real kube-apiserver and the etcd below it: given, or built by Go into the cache (test/support/kube.ts). */
  kube: () =>
    process.env['ISTHMUS_TEST_KUBE_APISERVER'] || runs('go', ['version'])
      ? undefined
      : 'no kube-apiserver: Go is missing, which builds it, and ISTHMUS_TEST_KUBE_APISERVER names none',
  ip: () => (runs('ip', ['-V']) ? undefined : 'the ip command is missing (apt-get install iproute2)'),
  qemu: () =>
    runs('qemu-system-x86_64', ['--version']) ? undefined : 'QEMU is missing (apt-get install qemu-system-x86)',
  busybox: () =>
    existsSync('/bin/busybox') ? undefined : 'a static busybox is missing (apt-get install busybox-static)',
  /** Unpacks Debian's kernel packages for the guest. */
  'guest-tools': () =>
    ['dpkg-deb', 'depmod', 'modprobe', 'cpio', 'apt-get'].every((tool) => existsInPath(tool))
      ? undefined
      : 'dpkg-deb, kmod, cpio or apt-get is missing (apt-get install kmod cpio)',
  /** Makes file systems, and reads them without mounting them. */
  e2fsprogs: () =>
    ['mkfs.ext4', 'e2fsck', 'debugfs'].every((tool) => existsInPath(tool))
      ? undefined
      : 'mkfs.ext4, e2fsck or debugfs is missing (apt-get install e2fsprogs)',
} satisfies Record<string, Probe>;

const results = new Map<Need, string | undefined>();

/** Why `need` is not met here, or undefined. Probed once a test file. */
export function missing(need: Need): string | undefined {
  if (!results.has(need)) results.set(need, probes[need]());
  return results.get(need);
}

/**
 * A `describe` for tests that need something of the machine. Where it is missing they are counted as skipped, with the
 * reason in the title, which the reporter prints at the end. Under CI (`CI=true`) they fail instead, unless
 * `test/ci-skips.txt` lists the need with a reason.
 *
 * @example
 * const describeIf = needs('root', 'bpf');
 * describeIf('the ipcache map', () => { … });
 */
export function needs(...wanted: readonly Need[]): (title: string, body: () => void) => void {
  const lacking = wanted.map((need) => ({ need, reason: missing(need) })).find(({ reason }) => reason !== undefined);
  if (!lacking) return describe;
  if (process.env['CI'] === 'true' && !allowedSkips().has(lacking.need))
    return (title) =>
      describe(title, () => {
        test(`finds what it needs on this CI machine`, () => {
          throw new Error(`${lacking.reason}; test/ci-skips.txt does not excuse ${lacking.need}`);
        });
      });
  const { skip: leaveOut } = describe;
  return (title, body) => {
    leaveOut(`${title} (left out: ${lacking.reason})`, body);
  };
}

/** Lines of `need: reason`; what follows `#` is a comment. */
function allowedSkips(): Set<string> {
  const text = readFileSync(new URL('../ci-skips.txt', import.meta.url), 'utf8');
  const lines = text.split('\n').map((line) => line.replace(/#.*/, '').trim());
  return new Set(lines.filter((line) => /^[a-z0-9-]+: \S/.test(line)).map((line) => line.slice(0, line.indexOf(':'))));
}

function runs(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore', timeout: 20_000 }).status === 0;
}

function existsInPath(tool: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(`${folder}/${tool}`));
}

function loads(library: string): boolean {
  try {
    koffi.load(library).unload();
    return true;
  } catch {
    return false;
  }
}

/** BPF_MAP_CREATE of a one-entry array: refused without the right, or by a kernel without BPF. */
function createsBpfMap(): boolean {
  const number = { x64: 321, arm64: 280 }[process.arch as string];
  if (process.platform !== 'linux' || number === undefined) return false;
  const libc = koffi.load('libc.so.6');
  const bpf = libc.func('long syscall(long number, int command, void *attributes, unsigned int size)');
  const close = libc.func('int close(int fd)');
  const attributes = Buffer.alloc(72);
  for (const [i, value] of [2, 4, 4, 1].entries()) attributes.writeUInt32LE(value, i * 4);
  const fd = Number(bpf(number, 0, attributes, attributes.length));
  if (fd < 0) return false;
  close(fd);
  return true;
}

/** On a hybrid layout v2 is mounted beside v1, so the place is looked up. */
function makesCgroup(): boolean {
  try {
    rmdirSync(createCgroup(`isthmus-probe-${process.pid}`));
    return true;
  } catch {
    return false;
  }
}
