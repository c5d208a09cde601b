import type { PeerServingStatus } from './peer-serving.ts';

/** Lines of `isthmus status` about certificates: the first that expires, and whatever needs somebody to look at. */
export function certificateLines({ certificates, troubles, revocation }: PeerServingStatus): readonly string[] {
  const [first] = certificates.toSorted((a, b) => (a.notAfter < b.notAfter ? -1 : 1));
  return [
    ...(first
      ? [`  Certificates:  ${certificates.length}, the first to expire is ${first.certificate}, ${first.notAfter}`]
      : []),
    ...(revocation.gap === undefined ? [] : [`  Revocation:    ${revocation.gap}`]),
    ...Object.entries(troubles).map(([peer, reason]) => `  Not renewed:   ${peer}: ${reason}`),
  ];
}
