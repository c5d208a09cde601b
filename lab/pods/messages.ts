/** A port that a pod answers on. */
export interface PodPort {
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
}

/** A pod as its host process knows it. */
export interface HostedPod {
  readonly cluster: string;
  readonly node: string;
  readonly namespace: string;
  readonly name: string;
  readonly ip: string;
  /** Path of its network namespace. */
  readonly netns: string;
  readonly ports: readonly PodPort[];
}

/** What a pod's server answers, one line of JSON: who it is and whom it saw. */
export interface PodAnswer {
  readonly pod: string;
  readonly namespace: string;
  readonly node: string;
  readonly cluster: string;
  readonly sawClient: string;
}

export interface ProbeTarget {
  /** `<cluster>/<namespace>/<pod>` that must answer. */
  readonly to: string;
  readonly address: string;
  readonly port: number;
}

export interface ProbeResult {
  readonly from: string;
  readonly to: string;
  /** Absent when the right pod answered and saw the client's pod address. */
  readonly error?: string;
}

/** A series of requests from one pod to one Service port. */
export interface LoadRequest {
  readonly from: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
  readonly requests: number;
  readonly ratePerSecond: number;
  readonly timeoutMs: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly failed: number;
  /** `<cluster>/<pod>` → answers. */
  readonly answeredBy: Readonly<Record<string, number>>;
  /** Longest time between two successful answers, milliseconds. */
  readonly longestGapMs: number;
  readonly durationMs: number;
  /** Distinct error texts with their counts. */
  readonly errors: Readonly<Record<string, number>>;
}

/** One order to a pod host, one line of JSON on its standard input. */
export type PodOrder =
  | { readonly op: 'start'; readonly pods: readonly HostedPod[] }
  | { readonly op: 'stop'; readonly path: string }
  | {
      readonly op: 'probe';
      readonly from: string;
      readonly targets: readonly ProbeTarget[];
      readonly timeoutMs: number;
    }
  | { readonly op: 'load'; readonly load: LoadRequest };

export type PodReply =
  | { readonly op: 'start' | 'stop' }
  | { readonly op: 'probe'; readonly results: readonly ProbeResult[] }
  | { readonly op: 'load'; readonly result: LoadResult };
