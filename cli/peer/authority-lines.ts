import { type PeerFolder, authorityProgress } from '../../clustermesh/index.ts';

/** How far the renewal of our authority is, as `isthmus peer list -o json` prints it. */
export interface AuthorityDescription {
  /** `announced`: the new one is trusted and signs nothing yet; `signing`: it signs, and those before it are still trusted. */
  readonly phase: 'announced' | 'signing';
  readonly since: string;
  /** While announced: not before that, and not before every peer knows it. */
  readonly signsFrom: string | undefined;
  /** Peers that have not said that they trust it, with what tells them. */
  readonly lacking: readonly { readonly name: string; readonly cure: string }[];
  /** Peers that never say: a file declares our authority there. */
  readonly declared: readonly string[];
}

/** Undefined while no renewal is under way. */
export async function describeAuthority(folder: PeerFolder, nowMs: number): Promise<AuthorityDescription | undefined> {
  const progress = await authorityProgress(folder, nowMs);
  if (!progress) return undefined;
  const peers = await folder.peers();
  const cilium = new Set(peers.filter(({ kind }) => kind === 'cilium').map(({ name }) => name));
  return {
    phase: progress.phase,
    since: time(progress.sinceMs),
    signsFrom: progress.phase === 'announced' ? time(progress.signsFromMs) : undefined,
    lacking: progress.lacking.map((name) => ({
      name,
      cure: cilium.has(name)
        ? `isthmus peer invite ${name} --for cilium, and kubectl apply there`
        : 'the apiserver tells it as soon as it can be reached',
    })),
    declared:
      progress.phase === 'announced' ? peers.filter(({ kind }) => kind === 'declared').map(({ name }) => name) : [],
  };
}

/** The same for people: nothing while no renewal is under way. */
export function authorityText(authority: AuthorityDescription | undefined): string[] {
  if (!authority) return [];
  const { phase, since, signsFrom, lacking, declared } = authority;
  return [
    phase === 'announced'
      ? `authority: a new one is trusted since ${since}; it signs from ${signsFrom} on, once every peer knows it`
      : `authority: a new one signs since ${since}; the one before stays trusted until no certificate of it is valid`,
    ...lacking.map(({ name, cure }) => `  not known to ${name}: ${cure}`),
    ...declared.map((name) => `  ${name} has to apply our new authority/ca.crt before that: it is a peer by a file`),
  ];
}

export async function authorityLines(folder: PeerFolder, nowMs: number): Promise<string[]> {
  return authorityText(await describeAuthority(folder, nowMs));
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
