import { ApiError, errorOf } from './api-error.ts';
import type { ApiAnswer, ApiServer } from './api-server.ts';
import { readText } from './body.ts';

/** A Lease (`coordination.k8s.io/v1`) as far as an election needs it. */
export interface Lease {
  readonly resourceVersion: string;
  /** Empty: released. */
  readonly holder: string;
  readonly durationSeconds: number;
  readonly acquireTime: string;
  readonly renewTime: string;
  readonly transitions: number;
}

export interface LeasePlace {
  readonly namespace: string;
  readonly name: string;
}

const idleMs = 5_000;
const maxBytes = 1024 * 1024;

/** Undefined when there is none. @throws {ApiError} */
export async function readLease(api: ApiServer, place: LeasePlace, signal: AbortSignal): Promise<Lease | undefined> {
  using answer = await api.request('GET', `${collection(place)}/${place.name}`, { signal, idleMs });
  if (answer.status === 404) return undefined;
  return leaseOf(`get Lease ${place.namespace}/${place.name}`, answer);
}

/**
 * Makes the Lease, or changes the version of it that `resourceVersion` names.
 * @returns undefined when somebody else was quicker. @throws {ApiError}
 */
export async function writeLease(
  api: ApiServer,
  place: LeasePlace,
  lease: Omit<Lease, 'resourceVersion'> & { readonly resourceVersion: string | undefined },
  signal: AbortSignal,
): Promise<Lease | undefined> {
  const { namespace, name } = place;
  const { resourceVersion, holder, durationSeconds, acquireTime, renewTime, transitions } = lease;
  const body = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { namespace, name, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: durationSeconds,
      acquireTime,
      renewTime,
      leaseTransitions: transitions,
    },
  };
  const making = resourceVersion === undefined;
  const path = making ? collection(place) : `${collection(place)}/${name}`;
  using answer = await api.request(making ? 'POST' : 'PUT', path, { signal, idleMs, body });
  if (answer.status === 409) return undefined;
  return leaseOf(`${making ? 'create' : 'update'} Lease ${namespace}/${name}`, answer);
}

/** What Kubernetes calls MicroTime: RFC 3339 with exactly six digits of a second. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}

function collection({ namespace }: LeasePlace): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
}

async function leaseOf(operation: string, answer: ApiAnswer): Promise<Lease> {
  if (answer.status !== 200 && answer.status !== 201) throw await errorOf(operation, answer);
  const { metadata, spec = {} } = JSON.parse(await readText(answer.body, maxBytes)) as RawLease;
  const resourceVersion = metadata?.resourceVersion;
  if (typeof resourceVersion !== 'string')
    throw new ApiError(operation, { status: answer.status, reason: '', message: 'the answer has no resourceVersion' });
  return {
    resourceVersion,
    holder: spec.holderIdentity ?? '',
    durationSeconds: spec.leaseDurationSeconds ?? 0,
    acquireTime: spec.acquireTime ?? '',
    renewTime: spec.renewTime ?? '',
    transitions: spec.leaseTransitions ?? 0,
  };
}

interface RawLease {
  readonly metadata?: { readonly resourceVersion?: unknown };
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}
