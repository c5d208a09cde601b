import { PermissionDeniedError, toText } from '../../kvstore/index.ts';
import { heartbeatLimitMs, judgeCopyReport } from '../remote/index.ts';
import { copierAliveKey, copyReportKey, decodeCopyReport, decodeTime } from '../wire/index.ts';
import { BrokenLayer, type Finding, reasonOf } from './finding.ts';
import type { ReadStore, StoreLayerOptions } from './store-layers.ts';

const layer = 'copies';

/** What the kvstoremesh that has copied a cluster says of it, beside the copies. @throws {BrokenLayer} */
export async function readCopies(store: ReadStore, { cluster, nowMs, signal }: StoreLayerOptions): Promise<Finding> {
  const valueOf = async (key: string): Promise<Uint8Array | undefined> => (await store.get(key, { signal }))?.value;
  const next = `isthmus troubleshoot ${cluster}  # where the kvstoremesh runs, with its --clustermesh-config`;
  try {
    const alive = await valueOf(copierAliveKey);
    if (!alive)
      return {
        layer,
        state: 'warning',
        detail: 'nobody says here how the cluster itself is doing: Cilium’s kvstoremesh does not, nor does a mirror',
      };
    const aliveMs = decodeTime(toText(alive));
    if (aliveMs !== undefined && nowMs - aliveMs > heartbeatLimitMs)
      throw new BrokenLayer({
        layer,
        detail: `the kvstoremesh that copies it has been silent for ${Math.round((nowMs - aliveMs) / 1000)} s`,
        next: 'isthmus status  # of the kvstoremesh: whether it runs',
      });
    const report = await valueOf(copyReportKey(cluster));
    if (!report) throw new BrokenLayer({ layer, detail: 'the kvstoremesh does not copy it any more', next });
    const verdict = judgeCopyReport(decodeCopyReport(cluster, report), nowMs);
    if (verdict.state === 'behind') throw new BrokenLayer({ layer, detail: verdict.reason, next });
    return { layer, state: 'ok', detail: 'its kvstoremesh says that they are current' };
  } catch (error) {
    if (error instanceof PermissionDeniedError)
      return { layer, state: 'warning', detail: `we may not read how the cluster itself is doing: ${reasonOf(error)}` };
    throw error instanceof BrokenLayer ? error : new BrokenLayer({ layer, detail: reasonOf(error), next });
  }
}
