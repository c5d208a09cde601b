import type { ServiceEntry } from '../../datapath/index.ts';
import { at, makeRig, openBoth } from '../../test/integration/datapath/rig.ts';
import { type Suite, type SuiteContext, median } from '../suite.ts';
import { plainPath } from './datapath/plain-path.ts';
import { client, server } from './datapath/processes.ts';

const plainRival = 'plain routed VXLAN between the same namespaces';
const rows = {
  throughput: 'datapath: TCP throughput pod to pod',
  roundTrip: 'datapath: TCP round trip pod to pod, median',
  oneService: 'datapath: TCP connect at 1 service, median',
  manyServices: 'datapath: TCP connect at 1,000 services, median',
} as const;

/** Measurements of one kind are taken in turns, so that a busy moment of the machine meets all of them. */
const rounds = 3;

/**
 * Two nodes and pods in network namespaces. Round trips and connects run with both ends on one CPU, where they do not
 * depend on the scheduler; connects are to a backend on the same node, made in the node's cgroup.
 */
export const suite: Suite = {
  name: 'datapath',
  summary: 'pods over eBPF and VXLAN against plain routed VXLAN; what services add to a connect',
  rows: [
    { name: rows.throughput, unit: 'Gbit/s', rival: plainRival, better: 'more', bar: 0.7, aim: 1 },
    { name: rows.roundTrip, unit: 'µs', rival: plainRival, better: 'less', bar: 1.4, aim: 1 },
    {
      name: rows.oneService,
      unit: 'µs',
      rival: 'a connect to the backend itself',
      better: 'less',
      bar: 1.5,
      aim: 1.05,
    },
    { name: rows.manyServices, unit: 'µs', rival: 'a connect at 1 service', better: 'less', bar: 1.5, aim: 1 },
  ],
  measure: async (context) => {
    await measurePaths(context);
    await measureConnects(context);
  },
};

async function measurePaths({ note, record, signal }: SuiteContext): Promise<void> {
  await using rig = await makeRig('bench', 'clsact', 1);
  const [one, two] = rig.nodes;
  await openBoth(rig);
  const [from, to] = [at(one.pods, 0), at(two.pods, 0)];
  const paths = { ebpf: to.address, plain: (await plainPath(rig)).address };
  await using stack = new AsyncDisposableStack();
  for (const address of Object.values(paths)) {
    stack.use(await server(to.namespace, 'sink', { address, port: 9001 }, { pinned: false }));
    stack.use(await server(to.namespace, 'pong', { address, port: 9002 }, { pinned: true }));
  }
  note('throughput');
  const throughput = await inTurns(paths, signal, async (address) => {
    const options = { amount: 1.5, pinned: false };
    const result = await client<{ gigabits: number }>(from.namespace, 'source', { address, port: 9001 }, options);
    return result.gigabits;
  });
  record(rows.throughput, { value: throughput.ebpf, against: throughput.plain });
  note('round trip');
  const roundTrip = await inTurns(paths, signal, async (address) => {
    const options = { amount: 5000, pinned: true };
    const result = await client<{ p50: number }>(from.namespace, 'ping', { address, port: 9002 }, options);
    return result.p50;
  });
  record(rows.roundTrip, { value: roundTrip.ebpf, against: roundTrip.plain });
}

async function measureConnects({ note, record, signal }: SuiteContext): Promise<void> {
  await using rig = await makeRig('bench', 'clsact', 2);
  const [one] = rig.nodes;
  const [datapath] = await openBoth(rig);
  const [from, to] = [at(one.pods, 0), at(one.pods, 1)];
  await using _server = await server(to.namespace, 'accept', { address: to.address, port: 9003 }, { pinned: true });
  const services = Array.from({ length: 1000 }, (_, i): ServiceEntry => ({
    address: `10.96.${i >> 8}.${i & 255}`,
    port: 80,
    protocol: 'TCP',
    backends: [{ address: to.address, port: 9003, state: 'active' }],
  }));
  const direct = { address: to.address, port: 9003 };
  const vip = { address: at(services, 0).address, port: 80 };
  note('connects');
  const times = await inTurns({ direct: 0, one: 1, many: 1000 }, signal, async (count) => {
    await datapath.services.audit(services.slice(0, count), { prune: true });
    const options = { amount: 2000, pinned: true, cgroup: one.cgroup };
    return (await client<{ p50: number }>(from.namespace, 'connect', count === 0 ? direct : vip, options)).p50;
  });
  record(rows.oneService, { value: times.one, against: times.direct });
  record(rows.manyServices, { value: times.many, against: times.one });
}

/** Median of the measurements for each case. */
async function inTurns<Name extends string, Case>(
  cases: Readonly<Record<Name, Case>>,
  signal: AbortSignal,
  measure: (value: Case) => Promise<number>,
): Promise<Readonly<Record<Name, number>>> {
  const names = Object.keys(cases) as Name[];
  const values = names.map((): number[] => []);
  for (let round = 0; round < rounds; round++)
    for (const [i, name] of names.entries()) {
      signal.throwIfAborted();
      values[i]?.push(await measure(cases[name]));
    }
  return Object.fromEntries(names.map((name, i) => [name, median(values[i] ?? [])])) as Record<Name, number>;
}
