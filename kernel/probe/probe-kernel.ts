import { closeSync, openSync, rmdirSync } from 'node:fs';
import { release } from 'node:os';
import { cgroupAttachTypes, failedWith, libbpf } from '../bpf/index.ts';
import { createCgroup } from '../cgroup/index.ts';
import { errnos, kernelError, systemCode } from '../abi/index.ts';
import { LinuxNetwork } from '../netlink/index.ts';
import { runInNewNamespace } from '../netns/index.ts';
import { MissingFeatureError } from '../ports/index.ts';
import { loadSmallestProgram, programTypes } from './smallest-program.ts';
import { hasTcx } from './tcx.ts';

export type KernelFeatureName = 'libbpf' | 'bpf' | 'tcx' | 'cgroup' | 'netns' | 'veth' | 'vxlan';

export interface KernelFeature {
  readonly name: KernelFeatureName;
  /** Without it nothing works; otherwise something is slower or lacking, which `missing` names. */
  readonly required: boolean;
  /** Why it is not there, with cost and cure; absent when it works. */
  readonly missing?: MissingFeatureError;
}

export interface KernelReport {
  /** `uname -r`. */
  readonly release: string;
  readonly features: readonly KernelFeature[];
}

const asRoot = 'run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN';

/** What a feature is called, what its absence costs, and how to get it where rights are not what lacks. */
const facts: Readonly<
  Record<KernelFeatureName, { readonly title: string; readonly cost: string; readonly cure: string }>
> = {
  libbpf: {
    title: 'libbpf.so.1',
    cost: 'no eBPF program can be loaded',
    cure: 'install it (Debian, Ubuntu: apt-get install libbpf1)',
  },
  bpf: {
    title: 'bpf(2)',
    cost: 'no eBPF program can be loaded, so pods reach neither other nodes nor services',
    cure: 'use a kernel ≥ 6.1 with CONFIG_BPF_SYSCALL',
  },
  tcx: {
    title: 'TCX',
    cost: 'programs attach as clsact filters, which others may remove unseen',
    cure: 'use a kernel ≥ 6.6',
  },
  cgroup: {
    title: 'Attaching to cgroup v2',
    cost: 'services are translated at every packet instead of once a connection',
    cure: 'mount cgroup v2: mount -t cgroup2 none /sys/fs/cgroup/unified',
  },
  netns: {
    title: 'Making network namespaces',
    cost: 'neither nodes nor pods of a lab can be made',
    cure: 'use a kernel with CONFIG_NET_NS',
  },
  veth: { title: 'The veth device', cost: 'pods cannot be connected to their node', cure: 'modprobe veth' },
  vxlan: { title: 'The VXLAN device', cost: 'pods of other nodes cannot be reached', cure: 'modprobe vxlan' },
};

/**
 * Tries each kernel feature that isthmus uses, in a network namespace and a cgroup of its own that are gone afterwards.
 * Nothing is thrown for what is missing. @throws {MissingFeatureError} when this is not Linux.
 */
export async function probeKernel(): Promise<KernelReport> {
  if (process.platform !== 'linux')
    throw new MissingFeatureError('Linux', 'only the in-memory kernel runs here; start with --kernel memory');
  const features: KernelFeature[] = [
    await tried('libbpf', true, () => libbpf.libbpf_num_possible_cpus()),
    await tried('bpf', true, () => closeSync(loadSmallestProgram(programTypes.schedCls))),
    await tried('tcx', false, () => {
      if (!hasTcx()) throw kernelError('Cannot attach by TCX', errnos.EINVAL);
    }),
    await tried('cgroup', false, tryCgroup),
    await tried('netns', true, () => runInNewNamespace(() => undefined)),
    await tried('veth', true, () => tryLink({ name: 'probe0', kind: 'veth', peer: { name: 'probe1' } })),
    await tried('vxlan', true, () => tryLink({ name: 'probe0', kind: 'vxlan', port: 8472 })),
  ];
  return { release: release(), features };
}

/** @throws {MissingFeatureError} the first required feature that is missing, of `names` when they are given. */
export function requireFeatures(report: KernelReport, names?: readonly KernelFeatureName[]): void {
  for (const { name, required, missing } of report.features)
    if (missing && (names ? names.includes(name) : required)) throw missing;
}

async function tried(name: KernelFeatureName, required: boolean, attempt: () => unknown): Promise<KernelFeature> {
  try {
    await attempt();
    return { name, required };
  } catch (cause) {
    if (cause instanceof MissingFeatureError) return { name, required, missing: cause };
    const { title, cost, cure } = facts[name];
    const code = systemCode(cause);
    const refused = code === 'EPERM' || code === 'EACCES';
    return {
      name,
      required,
      missing: new MissingFeatureError(title, `${cost}; ${refused ? asRoot : cure}`, { cause }),
    };
  }
}

async function tryLink(spec: Parameters<LinuxNetwork['createLink']>[0]): Promise<void> {
  // The namespace ends with the socket, and the device with the namespace.
  using network = runInNewNamespace(() => new LinuxNetwork((body) => body()));
  await network.createLink(spec);
}

function tryCgroup(): void {
  const directory = createCgroup(`isthmus-probe-${process.pid}`);
  try {
    const fd = openSync(directory, 'r');
    const program = loadSmallestProgram(programTypes.cgroupSockAddr, cgroupAttachTypes.connect4);
    const link = libbpf.bpf_link_create(program, fd, cgroupAttachTypes.connect4, null);
    closeSync(program);
    closeSync(fd);
    if (link < 0 && failedWith(link, 'EPERM'))
      throw new MissingFeatureError(
        'Attaching to cgroups',
        'another program is attached exclusively to a cgroup above; services are translated at every packet instead',
      );
    if (link < 0) throw kernelError('Cannot attach to a cgroup', link);
    closeSync(link);
  } finally {
    rmdirSync(directory);
  }
}
