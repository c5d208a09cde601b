import type { ServiceEntry } from '../../datapath/index.ts';
import { at, makeRig, openBoth } from '../../test/integration/datapath/rig.ts';
import { plainPath } from './datapath/plain-path.ts';
import { client, server } from './datapath/processes.ts';

/** One measured number. `ratio` is how good it is against `against`: 1 is equal, more is better. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly against: number;
  readonly ratio: number;
  readonly bar: number;
  readonly aim: number;
  readonly holds: boolean;
}

const rounds = 3;

/**
 * Pods of two nodes over the eBPF datapath, against plain routed VXLAN between the same namespaces; and what a service adds
 * to a connect. Every figure is the median of interleaved rounds; round trips and connects run with both ends on one CPU.
 */
export async function run(): Promise<Row[]> {
  return [...(await pathRows()), ...(await connectRows())];
}

async function pathRows(): Promise<Row[]> {
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
  const throughput = await interleaved(paths, async (address) => {
    const options = { amount: 1.5, pinned: false };
    const result = await client<{ gigabits: number }>(from.namespace, 'source', { address, port: 9001 }, options);
    return result.gigabits;
  });
  const roundTrip = await interleaved(paths, async (address) => {
    const options = { amount: 5000, pinned: true };
    const result = await client<{ p50: number }>(from.namespace, 'ping', { address, port: 9002 }, options);
    return result.p50;
  });
  return [
    row('datapath.tcp-throughput', 'Gbit/s', throughput.ebpf, throughput.plain, { better: 'more', bar: 0.7, aim: 1 }),
    row('datapath.tcp-round-trip', 'µs', roundTrip.ebpf, roundTrip.plain, { better: 'less', bar: 0.7, aim: 1 }),
  ];
}

async function connectRows(): Promise<Row[]> {
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
  const connects = async (count: number, target: typeof vip): Promise<number> => {
    await datapath.services.audit(services.slice(0, count), { prune: true });
    const options = { amount: 2000, pinned: true, cgroup: one.cgroup };
    return (await client<{ p50: number }>(from.namespace, 'connect', target, options)).p50;
  };
  const cases = { direct: 0, few: 1, many: 1000 };
  const times = await interleaved(cases, (count) => connects(count, count === 0 ? direct : vip));
  return [
    row('datapath.connect-1-service', 'µs', times.few, times.direct, { better: 'less', bar: 0.67, aim: 0.95 }),
    row('datapath.connect-1000-services', 'µs', times.many, times.few, { better: 'less', bar: 0.67, aim: 1 }),
  ];
}

/** Medians of a measurement for each case, taken in turns so that a busy moment of the machine meets all of them. */
async function interleaved<Name extends string, Case>(
  cases: Readonly<Record<Name, Case>>,
  measure: (value: Case) => Promise<number>,
): Promise<Readonly<Record<Name, number>>> {
  const names = Object.keys(cases) as Name[];
  const values = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++)
    for (const name of names) values.get(name)?.push(await measure(cases[name]));
  const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1] ?? Number.NaN;
  return Object.fromEntries(names.map((name) => [name, median(values.get(name) ?? [])])) as Record<Name, number>;
}

function row(
  name: string,
  unit: string,
  value: number,
  against: number,
  judge: { readonly better: 'more' | 'less'; readonly bar: number; readonly aim: number },
): Row {
  const ratio = judge.better === 'more' ? value / against : against / value;
  const rounded = (number: number): number => Math.round(number * 1000) / 1000;
  return {
    name,
    value: rounded(value),
    unit,
    against: rounded(against),
    ratio: rounded(ratio),
    bar: judge.bar,
    aim: judge.aim,
    holds: ratio >= judge.bar,
  };
}
