import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RowSpec, Suite, SuiteContext } from '../suite.ts';
import type { SceneResult } from './mesh/scene.ts';

const sizes = [10, 50, 250] as const;
const raw = fileURLToPath(new URL('../raw/mesh.json', import.meta.url));

const row = (name: string, unit: string, bar?: number, aim?: number): RowSpec => ({
  name: `mesh: ${name}`,
  unit,
  better: 'less',
  ...(bar === undefined ? {} : { bar }),
  ...(aim === undefined ? {} : { aim }),
});

/** Cilium's own thresholds are the bars: bootstrap under 60 s, at most 1,000 in the queue, no error, no reconnection. */
const rows = {
  copySeconds: row('250 clusters, kvstoremesh is ready', 's', 60, 10),
  copyMegabytes: row('250 clusters, RSS of the kvstoremesh', 'MB', 781, 300),
  copyCpuSeconds: row('250 clusters, CPU of the kvstoremesh until it is ready', 's', 26),
  agentSeconds: row('250 clusters, an agent is ready', 's', 60, 10),
  agentMegabytes: row('250 clusters, RSS of the agent', 'MB', 512, 256),
  p50Ms: row('250 clusters, a change reaches the cache, p50', 'ms'),
  p99Ms: row('250 clusters, a change reaches the cache, p99', 'ms', 1000, 1000),
  bytesPerChange: row('250 clusters, bytes to an agent for each change of an endpoint', 'B'),
  recoverySeconds: row('250 clusters reconnect at once', 's', 60, 10),
  longestQueue: row('250 clusters, longest queue of keys to write', 'keys', 1000),
  errors: row('250 clusters, errors of writing', 'errors', 0),
  reconnections: row('250 clusters, reconnections before the cut', 'reconnections', 0),
} as const;

const growth = sizes.flatMap((clusters) => [
  { clusters, spec: row(`growth, ${clusters} clusters: kvstoremesh CPU a key`, 'µs'), of: perKey('copyCpuSeconds') },
  { clusters, spec: row(`growth, ${clusters} clusters: agent CPU a key`, 'µs'), of: perKey('agentCpuSeconds') },
  {
    clusters,
    spec: row(`growth, ${clusters} clusters: RSS of the kvstoremesh`, 'MB'),
    of: (one: SceneResult) => one.copyMegabytes,
  },
  {
    clusters,
    spec: row(`growth, ${clusters} clusters: RSS of the agent`, 'MB'),
    of: (one: SceneResult) => one.agentMegabytes,
  },
]);

/**
 * A mesh member among clusters that are records only (`isthmus mock`, in the size and at the rate of Cilium's own scale test):
 * kvstoremesh, embedded store and an agent on the real kernel, all on this machine, while the clusters change.
 */
export const suite: Suite = {
  name: 'mesh',
  summary: 'a kvstoremesh and an agent among 10, 50 and 250 clusters that change (needs root)',
  rows: [...Object.values(rows), ...growth.map(({ spec }) => spec)],
  measure: async (context) => {
    const results: SceneResult[] = [];
    for (const clusters of sizes) {
      const wantedHere = growth.filter((one) => one.clusters === clusters).map(({ spec }) => spec);
      const all = clusters === 250 ? [...Object.values(rows), ...wantedHere] : wantedHere;
      if (!context.wanted(...all.map(({ name }) => name))) continue;
      try {
        const result = await playScene(clusters, context);
        results.push(result);
        for (const { spec, of } of growth.filter((one) => one.clusters === clusters))
          context.record(spec.name, { value: of(result) });
        if (clusters !== 250) continue;
        for (const [member, spec] of Object.entries(rows))
          context.record(spec.name, { value: result[member as keyof typeof rows] });
      } catch (error) {
        for (const { name } of all) context.fail(name, error);
      }
    }
    if (results.length > 0) await writeFile(raw, `${JSON.stringify(results, null, 2)}\n`);
  },
};

function perKey(member: 'copyCpuSeconds' | 'agentCpuSeconds'): (one: SceneResult) => number {
  return (one) => (1e6 * one[member]) / one.keys;
}

/** In network and mount namespaces of its own: ports, devices, routes and pins are nobody else's. */
async function playScene(clusters: number, { signal }: SuiteContext): Promise<SceneResult> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-bench-mesh-'));
  try {
    await mkdir(join(folder, 'bpf'));
    const script =
      'ip link set lo up && ip address add 192.168.77.1/32 dev lo && mount -t bpf bpf "$1/bpf" && exec "$2" --disable-warning=ExperimentalWarning "$3" "$1" "$4"';
    const scene = fileURLToPath(new URL('mesh/scene.ts', import.meta.url));
    const args = ['-n', '-m', 'sh', '-c', script, 'sh', folder, process.execPath, scene, String(clusters)];
    const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit'], signal });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (code !== 0) throw new Error(`The scene of ${clusters} clusters ended with ${code}; it needs root`);
    return JSON.parse(said) as SceneResult;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
