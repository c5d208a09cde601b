import type { LabProcess } from '../processes/index.ts';
import type { PodOrder, PodReply } from './messages.ts';

interface Pending {
  readonly process: LabProcess;
  readonly resolve: (reply: PodReply) => void;
  readonly reject: (error: Error) => void;
}

/** The process of a pod host has ended, or has not begun. */
export class PodHostGoneError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PodHostGoneError';
  }
}

/** The lab's side of a pod host: gives orders and matches the replies. */
export class PodHostClient {
  readonly #pending = new Map<number, Pending>();
  #process: LabProcess | undefined;
  #nextId = 1;
  #partial = '';

  /** Takes what the process prints; hand it to `startChild` as `onOutput`. */
  readonly onOutput = (chunk: Buffer): void => {
    const lines = (this.#partial + chunk.toString()).split('\n');
    this.#partial = lines.pop() ?? '';
    for (const line of lines) this.#settle(line);
  };

  attach(process: LabProcess): void {
    this.#process = process;
    this.#partial = '';
    void process.exited.then(({ code, signal }) => {
      const error = new PodHostGoneError(`${process.role} ended (${signal ?? code}):\n${process.logTail()}`);
      for (const [id, pending] of this.#pending) {
        if (pending.process !== process) continue;
        this.#pending.delete(id);
        pending.reject(error);
      }
    });
  }

  order<O extends PodOrder>(order: O): Promise<Extract<PodReply, { op: O['op'] }>> {
    const process = this.#process;
    if (!process || process.ended)
      return Promise.reject(new PodHostGoneError(`${process?.role ?? 'The pod host'} does not run`));
    const id = this.#nextId++;
    const reply = new Promise<PodReply>((resolve, reject) => this.#pending.set(id, { process, resolve, reject }));
    process.input.write(`${JSON.stringify({ id, order })}\n`);
    return reply as Promise<Extract<PodReply, { op: O['op'] }>>;
  }

  #settle(line: string): void {
    const { id, reply, error } = JSON.parse(line) as { id: number; reply?: PodReply; error?: string };
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (reply) pending?.resolve(reply);
    else pending?.reject(new Error(error ?? 'no reply'));
  }
}
