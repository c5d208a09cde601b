import type { Link, LinkSpec } from './ports/index.ts';

/** @throws {RangeError} for a name that no device can have: IFNAMSIZ − 1 bytes, no blank, `/` or `:`. */
export function checkLinkName(name: string): void {
  if (Buffer.byteLength(name) > 15 || !/^[^\s/:]+$/.test(name) || name === '.' || name === '..')
    throw new RangeError(`Not a name of a network device: ${JSON.stringify(name)}`);
}

/** Whether a device that is there already is the one that `spec` describes, as far as it cannot be changed later. */
export function isSameDevice(link: Link, spec: LinkSpec): boolean {
  if (link.kind !== spec.kind || (spec.index !== undefined && spec.index !== link.index)) return false;
  if (spec.kind !== 'vxlan') return true;
  const collectMetadata = spec.vni === undefined;
  return (
    link.vxlan?.collectMetadata === collectMetadata &&
    link.vxlan.port === spec.port &&
    (collectMetadata || link.vxlan.vni === spec.vni)
  );
}
