import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { openRouterCounter } from '../../../datapath/index.ts';
import { runInNamespace } from '../../../kernel/index.ts';
import { parsePrefix } from '../../../values/ip/index.ts';
import { needs } from '../../support/probe.ts';
import { type TcMode, at, counted, makeRig, openBoth } from './rig.ts';
import { answer, ask } from './traffic.ts';

const describeIf = needs('root', 'netns', 'libbpf', 'bpf', 'cgroup2');

describeIf('pods of two nodes', () => {
  test.each<TcMode>(['tcx', 'clsact'])('reach each other over VXLAN, with programs by %s', async (tcMode) => {
    await using rig = await makeRig('dtov', tcMode);
    const [one, two] = rig.nodes;
    await using counter = await openRouterCounter({
      kernel: rig.router.kernel,
      links: rig.router.links,
      podCidrs: ['10.1.0.0/16', '10.2.0.0/16'].map((text) => parsePrefix(text)),
    });
    const datapaths = await openBoth(rig);
    const pods = [...one.pods, ...two.pods];
    await using stack = new AsyncDisposableStack();
    for (const pod of pods) stack.use(await answer(pod, 8080, pod.address));

    for (const from of pods)
      for (const to of pods.filter((pod) => pod !== from))
        expect(await ask(from, to.address, 8080)).toBe(`${to.address} ${from.address}`);

    for (const datapath of datapaths) expect(counted(datapath.dropCounters())).toEqual({});
    const counts = counted(counter.counts());
    expect(counts['seen']).toBeGreaterThan(40);
    expect(counts['pod address']).toBeUndefined();
  });

  test('are cut off and come back when the router’s link is cut and healed', async () => {
    await using rig = await makeRig('dtcu', 'clsact');
    const [one, two] = rig.nodes;
    await using counter = await openRouterCounter({ kernel: rig.router.kernel, links: rig.router.links, podCidrs: [] });
    await openBoth(rig);
    await using _server = await answer(at(two.pods, 0), 8080, 'two');
    const question = (): Promise<string> => ask(at(one.pods, 0), at(two.pods, 0).address, 8080, { timeoutMs: 300 });

    expect(await question()).toBe('two 10.1.0.1');
    await counter.cut([[one.address, two.address]]);
    await expect(question()).rejects.toThrow('No answer');
    expect(counted(counter.counts())['cut']).toBeGreaterThan(0);
    await counter.heal([[two.address, one.address]]);
    expect(await question()).toBe('two 10.1.0.1');
  });
});

needs(
  'root',
  'netns',
  'libbpf',
  'bpf',
  'busybox',
)('pods of two nodes, by ICMP', () => {
  test('answer each other’s pings', async () => {
    await using rig = await makeRig('dtpi', 'clsact');
    await openBoth(rig);
    const [one, two] = rig.nodes;
    const from = at(one.pods, 0);
    for (const to of [at(one.pods, 1), at(two.pods, 0)]) {
      const ping = runInNamespace(from.namespace, () =>
        spawnSync('/bin/busybox', ['ping', '-c', '2', '-i', '0.1', '-W', '2', to.address], { encoding: 'utf8' }),
      );
      expect(ping.stdout).toContain('2 packets received');
    }
  });
});
