import { header } from './header.ts';
import { bool, clampedInt64, int64, message, repeated, repeatedBytes, signedId, text } from './message.ts';

/** `ttl` counts seconds; `id` 0 lets the server choose. */
export const leaseGrantRequest = message({ ttl: clampedInt64(1), id: signedId(2) });
export const leaseGrantResponse = message({ header, id: signedId(2), ttl: int64(3), error: text(4) });

export const leaseRevokeRequest = message({ id: signedId(1) });
export const leaseRevokeResponse = message({ header });

export const leaseKeepAliveRequest = message({ id: signedId(1) });
/** `ttl` 0 says that the lease does not exist. */
export const leaseKeepAliveResponse = message({ header, id: signedId(2), ttl: int64(3) });

export const leaseTimeToLiveRequest = message({ id: signedId(1), keys: bool(2) });
/** `ttl` −1 says that the lease does not exist. */
export const leaseTimeToLiveResponse = message({
  header,
  id: signedId(2),
  ttl: int64(3),
  grantedTtl: int64(4),
  keys: repeatedBytes(5),
});

export const leaseStatus = message({ id: signedId(1) });
export const leaseLeasesRequest = message({});
export const leaseLeasesResponse = message({ header, leases: repeated(2, leaseStatus) });
