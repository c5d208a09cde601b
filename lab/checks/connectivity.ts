import type { ConnectivityReport } from '../report/index.ts';
import { type PlacedPod, podPath } from '../scheduler/index.ts';
import { type LabSubstrate, probePortOf } from '../substrate/index.ts';

/** How long one pod may take to answer another. */
const probeTimeoutMs = 3000;

/**
 * Connects from every pod to every other by TCP. A pair counts only when the answer names the target, and the target
 * saw the client's own pod address.
 */
export async function checkConnectivity(
  substrate: LabSubstrate,
  pods: readonly PlacedPod[],
): Promise<ConnectivityReport> {
  const rows = await Promise.all(
    pods.map((from) => {
      const targets = pods
        .filter((to) => to !== from)
        .map((to) => ({ to: podPath(to), address: to.ip, port: probePortOf(to) }));
      return substrate.probe(from, targets, probeTimeoutMs);
    }),
  );
  const results = rows.flat();
  const failed = results.flatMap(({ from, to, error }) => (error === undefined ? [] : [{ from, to, error }]));
  return {
    pairs: pods.length * (pods.length - 1),
    ok: results.length - failed.length,
    failed,
    strayPackets: await substrate.strayPackets(),
  };
}
