import { readFileSync } from 'node:fs';
import { openRouterCounter } from '../../datapath/index.ts';
import { parsePrefix } from '../../values/ip/index.ts';
import { at, counted, makeRig, openBoth } from '../integration/datapath/rig.ts';
import { answer, ask } from '../integration/datapath/traffic.ts';

/** Runs in the guest: everything is loaded by clsact, and pods of two nodes talk. Prints what it saw as JSON. */
const seen: Record<string, unknown> = { kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim() };
{
  await using rig = await makeRig('guest', 'clsact');
  const [one, two] = rig.nodes;
  await using counter = await openRouterCounter({
    kernel: rig.router.kernel,
    links: rig.router.links,
    podCidrs: [parsePrefix('10.1.0.0/16'), parsePrefix('10.2.0.0/16')],
  });
  const [datapath, remote] = await openBoth(rig);
  const [client, backend] = [at(one.pods, 0), at(two.pods, 0)];
  await using _server = await answer(backend, 8080, 'answer');
  const options = { timeoutMs: 20_000 };
  seen['crossNode'] = await ask(client, backend.address, 8080, options);
  await datapath.services.apply({
    upsert: [
      {
        address: '10.96.0.1',
        port: 80,
        protocol: 'TCP',
        backends: [{ address: backend.address, port: 8080, state: 'active' }],
      },
    ],
  });
  seen['serviceAtTc'] = await ask(client, '10.96.0.1', 80, options);
  seen['serviceAtSocket'] = await ask(client, '10.96.0.1', 80, { ...options, cgroup: one.cgroup });
  seen['drops'] = [counted(datapath.dropCounters()), counted(remote.dropCounters())];
  seen['podAddressesAtRouter'] = counted(counter.counts())['pod address'] ?? 0;
  seen['packetsAtRouter'] = counted(counter.counts())['seen'] ?? 0;
}
// A kernel that has no TCX must say so when it is asked for.
seen['tcx'] = await makeRig('guest', 'tcx', 0)
  .then(async (rig) => {
    await rig[Symbol.asyncDispose]();
    return 'present';
  })
  .catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
console.log(JSON.stringify(seen));
process.exit(0);
