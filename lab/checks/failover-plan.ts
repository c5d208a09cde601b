import type { PlacedPod } from '../scheduler/index.ts';
import { roundsOf } from './rounds.ts';
import { type ServiceTarget, clientFor } from './service-targets.ts';

/** Services of one round: more of them at the rate of this check would measure how much a small machine can do at a time. */
const servicesAtATime = 5;

/** One Service whose backends in one cluster are stopped while a pod goes on calling it. */
export interface FailoverCase {
  readonly target: ServiceTarget;
  /** The cluster whose backends stop. */
  readonly stopped: string;
  readonly client: PlacedPod;
  /** The ClusterIP that the client calls. */
  readonly address: string;
}

/** What happens at the same time: all backends that stop are of one cluster, so that no Service loses the others, too. */
export interface FailoverRound {
  readonly cases: readonly FailoverCase[];
  readonly stopping: ReadonlySet<PlacedPod>;
}

/**
 * Every shared global Service with backends in several clusters. The client is in the cluster whose backends stop; where
 * all pods of that cluster stop, in another one.
 */
export function planFailover(targets: readonly ServiceTarget[], pods: readonly PlacedPod[]): FailoverRound[] {
  const chosen = targets.flatMap((target) => {
    const [stopped, second] = new Set(target.backends.map((pod) => pod.cluster));
    return target.shared && !target.onlyOwnNode && stopped && second ? [{ target, stopped }] : [];
  });
  const byCluster = Map.groupBy(chosen, ({ stopped }) => stopped);
  return [...byCluster.values()]
    .flatMap((same) => roundsOf(same, servicesAtATime))
    .map((round) => planRound(round, pods));
}

function planRound(
  chosen: readonly Pick<FailoverCase, 'target' | 'stopped'>[],
  pods: readonly PlacedPod[],
): FailoverRound {
  const stopping = new Set(
    chosen.flatMap(({ target, stopped }) => target.backends.filter((pod) => pod.cluster === stopped)),
  );
  const cases = chosen.flatMap(({ target, stopped }) => {
    for (const cluster of [stopped, ...target.addresses.keys()]) {
      const address = target.addresses.get(cluster);
      const client = clientFor(target, cluster, pods, stopping);
      if (address && client) return [{ target, stopped, client, address }];
    }
    return [];
  });
  return { cases, stopping };
}
