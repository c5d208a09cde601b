import { stat } from 'node:fs/promises';
import type { Clock } from '../runtime/clock/index.ts';
import type { Logger } from '../runtime/log/index.ts';
import { UsageError } from '../runtime/options/index.ts';
import { type KubernetesKind, type KubernetesSource, manifestSource, streamSource } from '../kubernetes/index.ts';

/** What `--source` names: `manifests:DIR` or `stream:SOCKET`; it follows `kinds`. @throws {UsageError} */
export async function openSource(
  text: string,
  kinds: readonly KubernetesKind[],
  deps: { readonly clock: Clock; readonly log: Logger },
): Promise<KubernetesSource> {
  const [, kind, path = ''] = /^(manifests|stream):(.+)$/s.exec(text) ?? [];
  if (kind === 'stream') return streamSource({ socket: path, kinds, ...deps });
  if (kind !== 'manifests')
    throw new UsageError(`--source expects manifests:DIR or stream:SOCKET, not ${JSON.stringify(text)}`, {
      option: '--source',
    });
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) throw new UsageError(`--source: there is no folder ${path}`, { option: '--source' });
  return manifestSource({ directory: path, kinds, ...deps });
}
