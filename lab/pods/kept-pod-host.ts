import type { Logger } from '../../runtime/log/index.ts';
import type { LabProcess } from '../processes/index.ts';
import type { HostedPod, PodOrder, PodReply } from './messages.ts';
import { PodHostClient, PodHostGoneError } from './pod-host-client.ts';

/**
 * The pod host of one node over all its lives: each new process is told at once which pods it has to serve, so that a
 * host that was killed comes back with all of them.
 */
export class KeptPodHost implements Disposable {
  readonly #client = new PodHostClient();
  readonly #pods = new Map<string, HostedPod>();
  readonly #log: Logger;
  /** Settles when the next life serves. */
  #serving = promised();
  #closed = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Takes what the process prints; hand it to `startChild` as `onOutput`. */
  get onOutput(): (chunk: Buffer) => void {
    return this.#client.onOutput;
  }

  /** Takes on the process of the next life, right after it was started. */
  readonly attach = (process: LabProcess): void => {
    this.#client.attach(process);
    if (this.#pods.size === 0) return;
    const { resolve, reject } = this.#serving;
    const next = (this.#serving = promised());
    this.#client.order({ op: 'start', pods: [...this.#pods.values()] }).then(
      () => resolve(),
      (error: unknown) => {
        // What ended in the middle is started again: whoever waits goes on waiting for that life.
        if (error instanceof PodHostGoneError) {
          void next.promise.then(resolve, reject);
          return;
        }
        this.#log.error('A pod host could not take up its pods again', { role: process.role, error });
        reject(error);
      },
    );
  };

  /** Settles when all of them are served, by this life of the host or the next one. */
  async start(pods: readonly HostedPod[]): Promise<void> {
    for (const pod of pods) this.#pods.set(pathOf(pod), pod);
    const nextLife = this.#serving.promise;
    try {
      await this.#client.order({ op: 'start', pods });
    } catch (error) {
      if (!(error instanceof PodHostGoneError) || this.#closed) throw error;
      await nextLife;
    }
  }

  /** A host that does not run serves nobody, and its next life will not serve this pod. */
  async stop(path: string): Promise<void> {
    this.#pods.delete(path);
    await this.#client.order({ op: 'stop', path }).catch((error: unknown) => {
      if (!(error instanceof PodHostGoneError)) throw error;
    });
  }

  /** Orders that belong to one life of the host. @throws {PodHostGoneError} when that ends meanwhile. */
  order<O extends PodOrder>(order: O): Promise<Extract<PodReply, { op: O['op'] }>> {
    return this.#client.order(order);
  }

  /** There will be no further life. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#serving.reject(new PodHostGoneError('The lab is ending'));
  }
}

/** Nobody may be waiting when it is rejected. */
function promised(): PromiseWithResolvers<void> {
  const made = Promise.withResolvers<void>();
  made.promise.catch(() => undefined);
  return made;
}

function pathOf({ cluster, namespace, name }: HostedPod): string {
  return `${cluster}/${namespace}/${name}`;
}
