import { makeDirectory } from '../runtime/files/index.ts';
import type { Logger } from '../runtime/log/index.ts';
import { UsageError } from '../runtime/options/index.ts';
import type { ApiRoutes } from '../runtime/serve/index.ts';
import { type Kernel, KernelError, MemoryKernel, openLinuxKernel } from '../kernel/index.ts';

export interface AgentKernelOptions {
  readonly kernel: 'linux' | 'memory';
  readonly tcMode: 'auto' | 'tcx' | 'clsact';
  readonly bpfDir: string;
  readonly nodeIp: string;
}

export interface AgentKernel {
  readonly kernel: Kernel;
  /** Makes the devices of endpoints, where nobody else can. */
  readonly apiRoutes?: (own: ApiRoutes) => ApiRoutes;
}

/** The kernel that an agent drives: this machine's, or one in memory that sends no packet. @throws {UsageError} without the rights. */
export async function openAgentKernel(options: AgentKernelOptions, log: Logger): Promise<AgentKernel> {
  if (options.kernel === 'memory') return await memoryKernel(options);
  try {
    const kernel = await openLinuxKernel({ tcMode: options.tcMode, log });
    makeDirectory(options.bpfDir, 0o700);
    return { kernel };
  } catch (error) {
    if (!(error instanceof KernelError && (error.code === 'EPERM' || error.code === 'EACCES'))) throw error;
    throw new UsageError(`This process may not drive the kernel: ${error.message}`, {
      hint: 'run it as root, with CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN; without packets: --kernel memory',
      cause: error,
    });
  }
}

async function memoryKernel({ nodeIp, tcMode }: AgentKernelOptions): Promise<AgentKernel> {
  const kernel = new MemoryKernel(tcMode === 'clsact' ? { tcMode } : {});
  const { network } = kernel;
  const underlay = await network.createLink({ name: 'eth0', kind: 'dummy', up: true });
  await network.addAddress({ link: underlay.index, address: nodeIp, length: 24 });
  return { kernel, apiRoutes: (own) => withDevices(own, network) };
}

/**
 * A CNI makes the device of a pod before it asks for an endpoint, and takes it away afterwards. Nobody outside can do so
 * in a kernel that exists in this process only.
 */
function withDevices(own: ApiRoutes, network: MemoryKernel['network']): ApiRoutes {
  const put = 'PUT /v1/endpoints/:namespace/:name';
  const remove = 'DELETE /v1/endpoints/:namespace/:name';
  return {
    ...own,
    [put]: async (request) => {
      const { body } = request;
      const link = typeof body === 'object' && body !== null && 'link' in body ? body.link : undefined;
      const mac = typeof body === 'object' && body !== null && 'nodeMac' in body ? body.nodeMac : undefined;
      if (typeof link === 'string' && !(await network.link(link)))
        await network.createLink({
          name: link,
          kind: 'veth',
          up: true,
          ...(typeof mac === 'string' ? { mac } : {}),
          // In a namespace that this kernel does not show.
          peer: { name: 'eth0', netns: 0 },
        });
      return await own[put]?.(request);
    },
    [remove]: async (request) => {
      const { namespace, name } = request.params;
      const endpoints = (await own['GET /v1/endpoints']?.(request)) as readonly Record<string, unknown>[];
      const found = endpoints.find((endpoint) => endpoint['namespace'] === namespace && endpoint['name'] === name);
      const answer = await own[remove]?.(request);
      if (typeof found?.['link'] === 'string') await network.deleteLink(found['link']);
      return answer;
    },
  };
}
