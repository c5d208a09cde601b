/** The way to a remote cluster, in the order in which it is gone. */
export const layers = [
  'configuration',
  'resolve',
  'tcp',
  'tls',
  'auth',
  'version',
  'cluster-config',
  'canaries',
  'heartbeat',
  /** Only of a cluster that is read as a kvstoremesh has copied it: the heartbeat beside the copies is not its own. */
  'copies',
] as const;
export type Layer = (typeof layers)[number];

/** What was found at one layer. */
export interface Finding {
  readonly layer: Layer;
  /** `broken` ends the walk, or the way over one endpoint; a `warning` does not. */
  readonly state: 'ok' | 'warning' | 'broken';
  readonly detail: string;
  /** Where it was found, for the layers that each endpoint has. */
  readonly endpoint?: string;
  /** What was read, for programs. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** One command that leads on; only where something is broken. */
  readonly next?: string;
}

export interface Diagnosis {
  readonly cluster: string;
  readonly path: string;
  readonly ok: boolean;
  /** The first layer that no endpoint got over. */
  readonly broken?: Layer;
  readonly cause?: string;
  readonly next?: string;
  readonly findings: readonly Finding[];
}

/** A layer is broken: ends the walk. */
export class BrokenLayer extends Error {
  override readonly name = 'BrokenLayer';
  readonly finding: Finding;

  constructor(finding: Omit<Finding, 'state'>, options?: ErrorOptions) {
    super(finding.detail, options);
    this.finding = { state: 'broken', ...finding };
  }
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
