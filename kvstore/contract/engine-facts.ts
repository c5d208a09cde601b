import type { Engine, EngineStatus } from './engine.ts';

/**
 * What an engine that stands before another one says of itself: what that one says. Calls are left to those who stand
 * there, one by one, so that a new call is not let through by nobody's decision. Its end is not theirs to bring about.
 */
export class EngineFacts implements Pick<
  Engine,
  'clusterId' | 'memberId' | 'revision' | 'compactRevision' | 'broken' | 'status' | typeof Symbol.asyncDispose
> {
  /** The one behind. */
  protected readonly engine: Engine;

  constructor(engine: Engine) {
    this.engine = engine;
  }

  get clusterId(): bigint {
    return this.engine.clusterId;
  }

  get memberId(): bigint {
    return this.engine.memberId;
  }

  get revision(): number {
    return this.engine.revision;
  }

  get compactRevision(): number {
    return this.engine.compactRevision;
  }

  get broken(): AbortSignal {
    return this.engine.broken;
  }

  status(): Promise<EngineStatus> {
    return this.engine.status();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
