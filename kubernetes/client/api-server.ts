/** How requests reach an API server, with whatever proves who we are. */
export interface ApiServer {
  /** Where it is, for messages. */
  readonly description: string;
  /** Of the pod we run in, or of the context of the kubeconfig. */
  readonly namespace: string | undefined;
  /**
   * One request; resolves once the head of the answer is there, whatever its status.
   * @throws the reason of the signal; an error of the system when there is no answer.
   */
  request(method: 'GET' | 'POST' | 'PUT', path: string, options: RequestOptions): Promise<ApiAnswer>;
  /** What proves who we are was not accepted: read it anew before the next request. */
  refresh(): void;
}

export interface RequestOptions {
  readonly signal: AbortSignal;
  readonly body?: unknown;
  /** The request is given up when nothing came for this long although it was waited for. */
  readonly idleMs: number;
}

/** An answer whose body comes at the reader's pace. Disposing of it ends the connection unless the body was read. */
export interface ApiAnswer extends Disposable {
  readonly status: number;
  /** `Retry-After`, where the server gave it. */
  readonly retryAfterMs?: number;
  readonly body: AsyncIterable<Buffer>;
}
