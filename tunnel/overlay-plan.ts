import type { Link } from '../kernel/ports/index.ts';
import type { OverlayDevice } from './entry.ts';

/** What it takes to make `actual` the desired device. Replacing interrupts tunnelled traffic; changing does not. */
export type OverlayPlan =
  | { readonly type: 'keep' }
  | { readonly type: 'create' }
  | { readonly type: 'change'; readonly mtu?: number; readonly up?: true }
  | { readonly type: 'replace'; readonly reason: string };

/** Port, kind and mode of a device are fixed at its creation; MTU and state are not. */
export function overlayPlan(desired: OverlayDevice, actual: Link | undefined): OverlayPlan {
  if (!actual) return { type: 'create' };
  if (actual.kind !== desired.protocol)
    return { type: 'replace', reason: `it is a ${actual.kind || 'physical'} device` };
  if (!actual.vxlan?.collectMetadata) return { type: 'replace', reason: 'it has a fixed VNI' };
  if (actual.vxlan.port !== desired.port) return { type: 'replace', reason: `it uses port ${actual.vxlan.port}` };
  if (actual.mtu === desired.mtu && actual.up) return { type: 'keep' };
  return {
    type: 'change',
    ...(actual.mtu === desired.mtu ? {} : { mtu: desired.mtu }),
    ...(actual.up ? {} : { up: true as const }),
  };
}
