import type { Kernel } from '../../../kernel/index.ts';
import { describeEndpoints } from './endpoints.ts';
import { describeIpcache } from './ipcache.ts';
import { describePrograms } from './programs.ts';
import { describeServices } from './services.ts';
import { describeTunnel } from './tunnel.ts';

/** A kernel of its own for one test, with an overlay device and a pod's device. */
export interface Place extends AsyncDisposable {
  readonly kernel: Kernel;
  /** Empty, and of this test alone. */
  readonly pinDirectory: string;
  readonly overlayLink: number;
  readonly podLinks: readonly [number, number];
}

export type OpenPlace = () => Promise<Place>;

/** What the drivers of `datapath` and `tunnel` promise, on any kernel. */
export function describeDrivers(open: OpenPlace): void {
  describeIpcache(open);
  describeEndpoints(open);
  describeServices(open);
  describePrograms(open);
  describeTunnel(open);
}
