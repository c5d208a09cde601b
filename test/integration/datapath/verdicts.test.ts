import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type DropReason, dropReasons, mapNames, objectPath } from '../../../datapath/index.ts';
import { openEndpoints } from '../../../datapath/endpoints/index.ts';
import { openIpcache } from '../../../datapath/ipcache/index.ts';
import { nodeConfig } from '../../../datapath/programs/index.ts';
import { ServiceDriver } from '../../../datapath/services/index.ts';
import { type LinuxBpfObject, type TestRunInput, openLinuxKernel } from '../../../kernel/index.ts';
import { hostPrefix, ipv4ToNumber, parsePrefix } from '../../../values/ip/index.ts';
import { needs } from '../../support/probe.ts';
import { type Flow, ipv4Tcp, ipv4Udp, readFrame, readUnreachable } from './packets.ts';

const describeIf = needs('root', 'libbpf', 'bpf');

/** The loopback device stands for every device: it exists everywhere, and nothing is sent. */
const lo = 1;
const overlayLink = 77;
const pod = { address: '10.1.0.1', identity: 65_793, mac: '02:00:00:00:00:11', nodeMac: '02:00:00:00:00:12' };
const neighbour = { address: '10.1.0.2', identity: 65_794, mac: '02:00:00:00:00:21', nodeMac: '02:00:00:00:00:22' };
const remote = { address: '10.2.0.1', identity: 131_329, node: '172.30.2.2' };
const nodeAddress = '172.30.1.2';
const vip = '10.96.0.1';

const OK = 0;
const SHOT = 2;
const REDIRECT = 7;
const MARK_OVERLAY = 0x400;

interface Outcome {
  readonly verdict: number;
  /** `cb` of the test object: where to, through which tunnel, with which VNI. */
  readonly link: number;
  readonly tunnel: string | undefined;
  readonly vni: number;
  readonly dropped: DropReason;
  readonly mark: number;
  readonly frame: ReturnType<typeof readFrame>;
}

describeIf('a packet', () => {
  let object: LinuxBpfObject;
  const stack = new AsyncDisposableStack();

  beforeAll(async () => {
    const kernel = stack.use(await openLinuxKernel());
    object = await kernel.bpf.load({
      path: objectPath('node-test'),
      rodata: nodeConfig.bytes({ overlayLink, nodeAddress, natPortMin: 61_000, natPortMax: 61_063, pad: 0 }),
      maxEntries: { [mapNames.nat]: 1024, [mapNames.natReverse]: 1024 },
    });
    stack.use(object);
    await openEndpoints(object.map(mapNames.endpoints)).apply({
      upsert: [
        { ...pod, link: lo, endpointId: 1 },
        { ...neighbour, link: 42, endpointId: 2 },
        { address: nodeAddress, link: 0, endpointId: 0, mac: '', nodeMac: '', identity: 1, host: true },
      ],
    });
    await openIpcache(object.map(mapNames.ipcache)).apply({
      upsert: [
        { prefix: hostPrefix(remote.address), identity: remote.identity, encryptKey: 0, tunnelEndpoint: remote.node },
        { prefix: parsePrefix('10.3.0.0/16'), identity: 2, encryptKey: 0, tunnelEndpoint: '172.30.3.3' },
        { prefix: parsePrefix('10.1.0.0/24'), identity: 2, encryptKey: 0, tunnelEndpoint: nodeAddress },
        { prefix: hostPrefix('10.1.0.9'), identity: 65_800, encryptKey: 0 },
        { prefix: hostPrefix(remote.node), identity: 6, encryptKey: 0, tunnelEndpoint: remote.node },
      ],
    });
    await new ServiceDriver({
      services: object.map(mapNames.services),
      backends: object.map(mapNames.backends),
      revNats: object.map(mapNames.revNats),
      matches: object.map(mapNames.affinityMatches),
    }).apply({
      upsert: [
        {
          address: vip,
          port: 80,
          protocol: 'TCP',
          backends: [{ address: remote.address, port: 8080, state: 'active' }],
        },
        {
          address: vip,
          port: 53,
          protocol: 'UDP',
          backends: [{ address: remote.address, port: 5353, state: 'active' }],
        },
        { address: vip, port: 81, protocol: 'TCP', backends: [{ address: pod.address, port: 8080, state: 'active' }] },
        { address: vip, port: 82, protocol: 'TCP', backends: [] },
        { address: vip, port: 82, protocol: 'UDP', backends: [] },
      ],
    });
  });
  afterAll(() => stack.disposeAsync());

  function run(program: string, packet: Buffer, input: Omit<TestRunInput, 'packet'> = {}): Outcome {
    const result = object.testRun(program, { packet, link: lo, ...input });
    const [link = 0, tunnel = 0, vni = 0, reason = 0] = result.cb;
    return {
      verdict: result.verdict,
      link,
      tunnel:
        tunnel === 0 ? undefined : [tunnel >>> 24, (tunnel >>> 16) & 255, (tunnel >>> 8) & 255, tunnel & 255].join('.'),
      vni,
      dropped: dropReasons[reason] ?? 'none',
      mark: result.mark,
      frame: readFrame(result.packet),
    };
  }

  const flow = (destination: string, destinationPort = 8080, sourcePort = 40_000): Flow => ({
    source: pod.address,
    destination,
    sourcePort,
    destinationPort,
  });

  test('from a pod to a pod of another node goes into the tunnel with the sender’s identity', () => {
    const packet = ipv4Tcp(flow(remote.address), ['SYN']);
    expect(run('from_pod', packet)).toEqual({
      verdict: REDIRECT,
      link: overlayLink,
      tunnel: remote.node,
      vni: pod.identity,
      dropped: 'none',
      mark: (MARK_OVERLAY | (pod.identity << 16)) >>> 0,
      frame: readFrame(packet),
    });
  });

  test('from a pod to an address behind another node’s prefix goes to that node', () => {
    expect(run('from_pod', ipv4Udp(flow('10.3.200.1')))).toMatchObject({ verdict: REDIRECT, tunnel: '172.30.3.3' });
  });

  test('from a pod to a pod of this node goes to its device with its addresses', () => {
    const outcome = run('from_pod', ipv4Tcp(flow(neighbour.address), ['SYN']));
    expect(outcome).toMatchObject({ verdict: REDIRECT, link: 42, tunnel: undefined });
    expect(outcome.frame.macs).toBe('020000000021 020000000022');
  });

  test.each([
    { what: 'to the node itself', destination: nodeAddress },
    { what: 'to the world', destination: '192.0.2.1' },
  ])('from a pod $what goes to the host’s stack', ({ destination }) => {
    expect(run('from_pod', ipv4Udp(flow(destination)))).toMatchObject({ verdict: OK, dropped: 'none' });
  });

  test.each<{ readonly what: string; readonly packet: Buffer; readonly reason: DropReason }>([
    {
      what: 'with another pod’s source',
      packet: ipv4Udp({ ...flow(remote.address), source: neighbour.address }),
      reason: 'spoofed source',
    },
    { what: 'to a pod of this node without endpoint', packet: ipv4Udp(flow('10.1.0.9')), reason: 'unknown endpoint' },
    {
      what: 'to an address of this node’s pod CIDR that no pod has',
      packet: ipv4Udp(flow('10.1.0.200')),
      reason: 'unknown endpoint',
    },
    {
      what: 'to the address under which a pod meets itself, of no flow',
      packet: ipv4Tcp(flow('169.254.42.1', 61_005, 8080), ['SYN']),
      reason: 'hairpin',
    },
    {
      what: 'that is not IPv4',
      packet: asEtherType(ipv4Udp(flow(remote.address)), 0x88b5),
      reason: 'unsupported protocol',
    },
    { what: 'with a header that lies', packet: asIpVersion(ipv4Udp(flow(remote.address)), 0x44), reason: 'malformed' },
    {
      what: 'that is the first fragment of one to a service',
      packet: asFragment(ipv4Udp(flow(vip, 53))),
      reason: 'fragment',
    },
  ])('from a pod $what is dropped as "$reason"', ({ packet, reason }) => {
    expect(run('from_pod', packet)).toMatchObject({ verdict: SHOT, dropped: reason });
  });

  test.each([
    { name: 'TCP', make: (to: Flow) => ipv4Tcp(to, ['SYN']), port: 80, backendPort: 8080 },
    { name: 'UDP', make: (to: Flow) => ipv4Udp(to), port: 53, backendPort: 5353 },
    {
      name: 'UDP without checksum',
      make: (to: Flow) => ipv4Udp(to, { checksum: false }),
      port: 53,
      backendPort: 5353,
    },
  ])(
    'to a service by $name reaches a backend, and its answer comes from the service',
    ({ make, port, backendPort }) => {
      const sourcePort = 40_001 + backendPort;
      const there = run('from_pod', make(flow(vip, port, sourcePort)));
      expect(there).toMatchObject({ verdict: REDIRECT, link: overlayLink, tunnel: remote.node, vni: pod.identity });
      expect(there.frame).toMatchObject({
        source: pod.address,
        destination: remote.address,
        destinationPort: backendPort,
        checksumsHold: true,
      });
      expect(there.frame.sourcePort).toBeGreaterThanOrEqual(61_000);
      expect(there.frame.sourcePort).toBeLessThanOrEqual(61_063);

      const answer = make({
        source: remote.address,
        destination: pod.address,
        sourcePort: backendPort,
        destinationPort: there.frame.sourcePort,
      });
      const back = run('test_from_overlay', answer, { cb: [ipv4ToNumber(remote.node), remote.identity] });
      expect(back).toMatchObject({ verdict: REDIRECT, link: lo });
      expect(back.frame).toEqual({
        source: vip,
        sourcePort: port,
        destination: pod.address,
        destinationPort: sourcePort,
        macs: '020000000011 020000000012',
        checksumsHold: true,
      });
    },
  );

  test.each([
    { name: 'TCP', packet: ipv4Tcp(flow(vip, 82), ['SYN']), quoted: 40 },
    { name: 'UDP', packet: ipv4Udp(flow(vip, 82)), quoted: 28 },
  ])('to a service without backends by $name is refused by ICMP, and counted', ({ packet, quoted }) => {
    const { verdict, packet: answer, cb } = object.testRun('from_pod', { packet, link: lo });
    expect({ verdict, link: cb[0], dropped: dropReasons[cb[3] ?? 0] }).toEqual({
      verdict: REDIRECT,
      link: lo,
      dropped: 'no backend',
    });
    expect(readUnreachable(answer)).toEqual({
      type: [1, 3, 3],
      source: vip,
      destination: pod.address,
      macs: `${packet.toString('hex', 6, 12)} ${packet.toString('hex', 0, 6)}`,
      checksumsHold: true,
      quoted: packet.toString('hex', 14, 14 + quoted),
    });
  });

  test('to a service without backends that carries IP options is dropped without a word', () => {
    const packet = withIpOptions(ipv4Tcp(flow(vip, 82), ['SYN']));
    expect(run('from_pod', packet)).toMatchObject({ verdict: SHOT, dropped: 'no backend' });
  });

  test('to a service that is the pod itself comes back from another address, and the answer from the service', () => {
    const there = run('from_pod', ipv4Tcp(flow(vip, 81, 40_300), ['SYN']));
    expect(there).toMatchObject({ verdict: REDIRECT, link: lo, tunnel: undefined, dropped: 'none' });
    expect(there.frame).toMatchObject({
      source: '169.254.42.1',
      destination: pod.address,
      destinationPort: 8080,
      macs: '020000000011 020000000012',
      checksumsHold: true,
    });
    const { sourcePort } = there.frame;
    const back = run('from_pod', ipv4Tcp(flow('169.254.42.1', sourcePort, 8080), ['SYN', 'ACK']));
    expect(back).toMatchObject({ verdict: REDIRECT, link: lo, dropped: 'none' });
    expect(back.frame).toEqual({
      source: vip,
      sourcePort: 81,
      destination: pod.address,
      destinationPort: 40_300,
      macs: '020000000011 020000000012',
      checksumsHold: true,
    });
    // Its end is seen from both sides: the same client port gets another flow.
    run('from_pod', ipv4Tcp(flow('169.254.42.1', sourcePort, 8080), ['RST']));
    expect(run('from_pod', ipv4Tcp(flow(vip, 81, 40_300), ['SYN'])).frame.sourcePort).not.toBe(sourcePort);
  });

  test('of an established connection keeps backend and port, and a retransmitted SYN does too', () => {
    const ports = (['SYN', 'SYN', 'ACK', 'ACK'] as const).map(
      (flag) => run('from_pod', ipv4Tcp(flow(vip, 80, 40_100), [flag])).frame.sourcePort,
    );
    expect(new Set(ports).size).toBe(1);
  });

  test('that opens a connection after a reset gets a new port', () => {
    const send = (flag: 'SYN' | 'RST'): number =>
      run('from_pod', ipv4Tcp(flow(vip, 80, 40_200), [flag])).frame.sourcePort;
    const first = send('SYN');
    expect(send('RST')).toBe(first);
    expect(send('SYN')).not.toBe(first);
  });

  test('finds a port until every port is taken by a living flow', () => {
    const reasons = Array.from({ length: 200 }, (_, i) => run('from_pod', ipv4Udp(flow(vip, 53, 50_000 + i))).dropped);
    expect(new Set(reasons)).toEqual(new Set(['none', 'no nat port']));
    expect(reasons.slice(0, 15)).not.toContain('no nat port');
    // 64 ports, of which other tests of this file hold a few.
    expect(reasons.filter((reason) => reason === 'none').length).toBeGreaterThan(50);
    expect(reasons.filter((reason) => reason === 'none').length).toBeLessThanOrEqual(64);
  });

  const fromRemote: Flow = {
    source: remote.address,
    destination: pod.address,
    sourcePort: 8080,
    destinationPort: 40_000,
  };
  const arriving = (packet: Buffer, outer: string | undefined, vni: number): Outcome =>
    run('test_from_overlay', packet, { cb: [outer === undefined ? 0 : ipv4ToNumber(outer), vni] });

  test('out of the tunnel reaches the pod with the sender’s identity', () => {
    expect(arriving(ipv4Udp(fromRemote), remote.node, remote.identity)).toMatchObject({
      verdict: REDIRECT,
      link: lo,
      mark: remote.identity,
    });
  });

  test('out of the tunnel for the node itself goes to its stack, and a node’s identity is looked up', () => {
    const packet = ipv4Udp({ ...fromRemote, source: remote.node, destination: nodeAddress });
    expect(arriving(packet, remote.node, 6)).toMatchObject({ verdict: OK, mark: 0xf00 | (6 << 16) });
  });

  test.each<{
    readonly what: string;
    readonly packet: Buffer;
    readonly outer?: string;
    readonly vni: number;
    readonly reason: DropReason;
  }>([
    {
      what: 'from a node that its source is not on',
      packet: ipv4Udp(fromRemote),
      outer: '172.30.9.9',
      vni: remote.identity,
      reason: 'forged tunnel source',
    },
    {
      what: 'whose source nobody knows',
      packet: ipv4Udp({ ...fromRemote, source: '10.9.9.9' }),
      outer: remote.node,
      vni: 5,
      reason: 'forged tunnel source',
    },
    {
      what: 'with a source of this very node',
      packet: ipv4Udp({ ...fromRemote, source: neighbour.address }),
      outer: remote.node,
      vni: neighbour.identity,
      reason: 'forged tunnel source',
    },
    { what: 'of "the host"', packet: ipv4Udp(fromRemote), outer: remote.node, vni: 1, reason: 'invalid identity' },
    {
      what: 'for an address that is not here',
      packet: ipv4Udp({ ...fromRemote, destination: '10.1.0.99' }),
      outer: remote.node,
      vni: remote.identity,
      reason: 'unknown endpoint',
    },
    { what: 'without a tunnel header', packet: ipv4Udp(fromRemote), vni: 0, reason: 'no tunnel key' },
  ])('out of the tunnel $what is dropped as "$reason"', ({ packet, outer, vni, reason }) => {
    expect(arriving(packet, outer, vni)).toMatchObject({ verdict: SHOT, dropped: reason });
  });

  test('of the node itself into the overlay gets its tunnel, as a remote node', () => {
    const packet = ipv4Udp({ ...flow(remote.address), source: nodeAddress });
    expect(run('host_to_overlay', packet)).toMatchObject({ verdict: OK, tunnel: remote.node, vni: 6 });
    const unknown = ipv4Udp({ ...flow('192.0.2.1'), source: nodeAddress });
    expect(run('host_to_overlay', unknown)).toMatchObject({ verdict: SHOT, dropped: 'unknown endpoint' });
  });

  test('that has its tunnel already passes the overlay device’s egress as it is', () => {
    const packet = ipv4Udp(flow('192.0.2.1'));
    expect(run('host_to_overlay', packet, { mark: MARK_OVERLAY })).toMatchObject({ verdict: OK, tunnel: undefined });
  });
});

function asEtherType(frame: Buffer, type: number): Buffer {
  const copy = Buffer.from(frame);
  copy.writeUInt16BE(type, 12);
  return copy;
}

function asIpVersion(frame: Buffer, byte: number): Buffer {
  const copy = Buffer.from(frame);
  copy.writeUInt8(byte, 14);
  return copy;
}

function asFragment(frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  copy.writeUInt16BE(0x2000, 14 + 6);
  return copy;
}

function withIpOptions(frame: Buffer): Buffer {
  const copy = Buffer.concat([frame.subarray(0, 34), Buffer.from([1, 1, 1, 0]), frame.subarray(34)]);
  copy.writeUInt8(0x46, 14);
  return copy;
}
