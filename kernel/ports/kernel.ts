import type { BpfPort } from './bpf.ts';
import type { NetworkPort } from './network.ts';

/**
 * What one network namespace offers to drivers. The real kernel and the in-memory kernel implement it and pass one
 * contract suite (`test/contract/kernel`).
 */
export interface Kernel extends AsyncDisposable {
  readonly network: NetworkPort;
  readonly bpf: BpfPort;
  /** State as `ip`, `bridge` and map lines, sorted, for tests and for `--kernel memory`. */
  describe(): Promise<string>;
}
