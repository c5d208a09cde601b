import { LeaseNotFoundError, openEtcdStore } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';

// Holds a key under a lease until that is lost, then tries to write under it once more: `node lease-owner.ts ENDPOINT KEY`.
// One line each: `held`, `lost`, and how the write ended.
const [endpoint = '', key = ''] = process.argv.slice(2);
await using store = openEtcdStore({ endpoints: [endpoint], clock: systemClock, log: silentLogger });
const lease = await store.grantLease({ ttlSeconds: 2 });
await store.put(key, 'mine', { lease: lease.id });
const lost = new Promise((resolve) => lease.lost.addEventListener('abort', resolve, { once: true }));
console.log('held');
// The renewal keeps no process alive.
const awake = setInterval(() => undefined, 1000);
await lost;
clearInterval(awake);
console.log('lost');
const outcome: unknown = await store.put(key, 'still mine', { lease: lease.id }).catch((error: unknown) => error);
console.log(outcome instanceof LeaseNotFoundError ? 'refused' : `not refused: ${String(outcome)}`);
