import { stat } from 'node:fs/promises';
import type { Clock } from '../runtime/clock/index.ts';
import type { Logger } from '../runtime/log/index.ts';
import type { Metrics } from '../runtime/metrics/index.ts';
import { UsageError } from '../runtime/options/index.ts';
import {
  type ApiServer,
  ConfigError,
  type KubernetesKind,
  type KubernetesSource,
  kubernetesSource,
  manifestSource,
  measureSource,
  openApiServer,
  sourceMetrics,
  streamSource,
} from '../kubernetes/index.ts';

/** A source, and the API server behind it where there is one. */
export interface OpenedSource {
  readonly source: KubernetesSource;
  readonly api?: ApiServer;
}

interface Deps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const expected = 'kubernetes, kubernetes:KUBECONFIG, manifests:DIR or stream:SOCKET';

/** What `--source` names; it follows `kinds`. @throws {UsageError} */
export async function openSource(text: string, kinds: readonly KubernetesKind[], deps: Deps): Promise<OpenedSource> {
  const [, kind, path] = /^(kubernetes|manifests|stream)(?::(.+))?$/s.exec(text) ?? [];
  const { clock, log } = deps;
  const metrics = sourceMetrics(deps.metrics, clock);
  const measured = (source: KubernetesSource): OpenedSource => ({ source: measureSource(source, metrics) });
  if (kind === 'kubernetes') {
    const api = await openApi(path, deps);
    return { ...measured(kubernetesSource({ api, kinds, clock, log, observer: metrics })), api };
  }
  if (path === undefined)
    throw new UsageError(`--source expects ${expected}, not ${JSON.stringify(text)}`, { option: '--source' });
  if (kind === 'stream') return measured(streamSource({ socket: path, kinds, clock, log }));
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) throw new UsageError(`--source: there is no folder ${path}`, { option: '--source' });
  return measured(manifestSource({ directory: path, kinds, clock, log }));
}

/** By kubeconfig, or as the pod that we run in. */
async function openApi(kubeconfig: string | undefined, { clock, env }: Deps): Promise<ApiServer> {
  try {
    return await openApiServer({ clock, env, ...(kubeconfig === undefined ? {} : { kubeconfig }) });
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(`--source: ${error.message}`, { option: '--source' });
    throw error;
  }
}
