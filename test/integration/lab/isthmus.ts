import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openNamespace, runInNamespace } from '../../../kernel/index.ts';
import { type LabStatus, apiserverPaths, labPaths, nodePaths } from '../../../lab/index.ts';
import { callUnixApi } from '../../../runtime/serve/index.ts';

const binary = fileURLToPath(new URL('../../../bin/isthmus', import.meta.url));
const fixtures = fileURLToPath(new URL('../../fixtures/lab/', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `isthmus` as a person types it. */
export function isthmus(...args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'], env: process.env });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Runs `isthmus` and gives its output. @throws {Error} with what it printed when it did not end with 0. */
export async function succeed(...args: readonly string[]): Promise<string> {
  const outcome = await isthmus(...args);
  if (outcome.code !== 0)
    throw new Error(`isthmus ${args.join(' ')} ended with ${outcome.code}:\n${outcome.stdout}${outcome.stderr}`);
  return outcome.stdout;
}

/** The small mesh of the fixtures: east with two nodes, west with one. */
export const smallLab = [
  '--manifests',
  `${fixtures}small.yaml`,
  '--topology',
  `${fixtures}small-topology.yaml`,
] as const;

/** A lab name that no other test run uses. */
export function uniqueName(what: string): string {
  return `t-${what}-${process.pid.toString(36)}`;
}

export async function labStatus(name: string): Promise<LabStatus> {
  return JSON.parse((await isthmus('lab', 'status', '--name', name, '-o', 'json')).stdout) as LabStatus;
}

export async function pidOf(name: string, role: string): Promise<number> {
  const found = (await labStatus(name)).processes.find((process) => process.role === role);
  if (!found) throw new Error(`Lab ${name} has no process ${role}`);
  return found.pid;
}

/** Devices, routes, attached programs, and every entry of the ipcache and endpoint maps of a node, read from the kernel. */
export async function kernelState(name: string, cluster: string, node: string): Promise<string[]> {
  const lines = (await describeKernel(name, cluster, node)).filter((line) =>
    /^(link|route|program) |^map isthmus_(ipcache|lxc) /.test(line),
  );
  if (lines.filter((line) => line.startsWith('map isthmus_ipcache ')).length < 4)
    throw new Error(`The ipcache of ${cluster}/${node} is all but empty`);
  return lines;
}

/** Every entry of the service maps of a node. Slots and backend ids depend on the history of the backends. */
export async function serviceState(name: string, cluster: string, node: string): Promise<string[]> {
  const lines = (await describeKernel(name, cluster, node)).filter((line) =>
    /^map isthmus_lb4_(svc|be|rev) /.test(line),
  );
  if (lines.length < 6) throw new Error(`The service maps of ${cluster}/${node} are all but empty`);
  return lines;
}

/** Whether a node's ipcache has an entry for the very address. */
export function hasAddress(state: readonly string[], address: string): boolean {
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return state.some((line) => line.startsWith(`map isthmus_ipcache 4000000000000001${bytes.join('')}`));
}

async function describeKernel(name: string, cluster: string, node: string): Promise<string[]> {
  const socket = nodePaths(labPaths(name), cluster, node).apiSocket;
  const answer = (await callUnixApi(socket, { route: '/v1/kernel' })) as { text: string };
  return answer.text.split('\n');
}

/** Entries that an agent's mesh view holds of a cluster, as one comparable text each. */
export async function meshState(name: string, cluster: string, node: string): Promise<string[]> {
  const socket = nodePaths(labPaths(name), cluster, node).apiSocket;
  const kinds = ['nodes', 'identities', 'ips', 'services'];
  const lists = await Promise.all(kinds.map((kind) => callUnixApi(socket, { route: `/v1/${kind}` })));
  return lists
    .flatMap((list, i) => (list as unknown[]).map((item) => `${kinds[i]} ${JSON.stringify(item)}`))
    .toSorted();
}

export async function apiserverStatus(name: string, cluster: string): Promise<Record<string, unknown>> {
  return (await callUnixApi(apiserverPaths(labPaths(name), cluster).apiSocket, { route: '/v1/status' })) as Record<
    string,
    unknown
  >;
}

/** Status and text of what an agent or apiserver serves on loopback of its namespace: `/readyz`, `/healthz`, `/metrics`. */
export async function served(name: string, member: string, path: string): Promise<string> {
  using namespace = openNamespace(`isth-${name}-${member.replace('/', '-')}`);
  const script = `fetch('http://127.0.0.1:9962${path}').then(async (r) => process.stdout.write(r.status + ' ' + (await r.text())))`;
  const child = runInNamespace(namespace, () =>
    spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] }),
  );
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await new Promise((resolve) => child.once('close', resolve));
  return text;
}

/** What a lab of this name still has on the machine: directory, namespaces, cgroups, mounts. Empty when it is gone. */
export function leftovers(name: string): string[] {
  const namespaces = existsSync('/run/netns')
    ? readdirSync('/run/netns').filter((one) => one.startsWith(`isth-${name}-`))
    : [];
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`/${name}/`) || line.includes(`isth-${name}-`));
  const cgroups = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']
    .map((root) => `${root}/isthmus-${name}`)
    .filter((path) => existsSync(path));
  const { directory } = labPaths(name);
  return [...namespaces, ...mounts, ...cgroups, ...(existsSync(directory) ? [directory] : [])];
}

/** Repeats `check` until it holds. @throws {Error} with the last failure after `timeoutMs`. */
export async function eventually(check: () => Promise<void>, timeoutMs = 30_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
