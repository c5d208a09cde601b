import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AgentStatus } from '../../../agent/index.ts';
import { labPaths, nodePaths } from '../../../lab/index.ts';
import { callUnixApi } from '../../../runtime/serve/index.ts';
import { needs } from '../../support/probe.ts';
import {
  eventually,
  hasAddress,
  isthmus,
  kernelState,
  labStatus,
  leftovers,
  meshState,
  pidOf,
  serviceState,
  smallLab,
  succeed,
  uniqueName,
} from './isthmus.ts';

const describeIf = needs('root', 'netns', 'libbpf', 'bpf', 'cgroup2');

/** The processes of a lab have the environment of the command that began it. */
const timeoutVariable = 'ISTHMUS_CLUSTERMESH_SYNC_TIMEOUT';

describeIf('an agent that is killed while another cluster is cut off', () => {
  const lab = uniqueName('recall');
  const before = process.env[timeoutVariable];

  beforeAll(async () => {
    process.env[timeoutVariable] = '3s';
    await succeed('lab', 'up', '--name', lab, ...smallLab, '--kernel', 'linux');
  }, 60_000);

  afterAll(async () => {
    if (before === undefined) delete process.env[timeoutVariable];
    else process.env[timeoutVariable] = before;
    await isthmus('lab', 'down', '--name', lab);
    expect(leftovers(lab)).toEqual([]);
  }, 60_000);

  const agentStatus = async (): Promise<AgentStatus> =>
    (await callUnixApi(nodePaths(labPaths(lab), 'east', 'node-1').apiSocket, { route: '/v1/status' })) as AgentStatus;
  const kernel = async (): Promise<string[]> => [
    ...(await kernelState(lab, 'east', 'node-1')),
    ...(await serviceState(lab, 'east', 'node-1')),
  ];
  const mesh = (): Promise<string[]> => meshState(lab, 'east', 'node-1');

  test('serves it from what it remembers beyond the time for reading it, and loses only what had really gone', async () => {
    const victim = (await labStatus(lab)).pods.find(({ path }) => path.startsWith('west/shop/web'));
    const remoteServer = victim?.ip ?? '';
    await eventually(async () => expect((await agentStatus()).tables.every((t) => t.lastAudit?.pruned)).toBe(true));
    const [state, view] = [await kernel(), await mesh()];
    expect(hasAddress(state, remoteServer)).toBe(true);
    // What is known is written down every two seconds.
    await new Promise((resolve) => setTimeout(resolve, 3000));

    await succeed('lab', 'cut', 'east', 'west', '--name', lab);
    const pid = await pidOf(lab, 'east/node-1/agent');
    process.kill(pid, 'SIGKILL');
    await eventually(async () => {
      const { ready, pid: now } = await agentStatus();
      expect([ready, now === pid]).toEqual([true, false]);
    });
    const restarted = await agentStatus();
    expect(restarted.uptimeSeconds).toBeGreaterThanOrEqual(3);
    expect(restarted.clusters).toMatchObject([
      { name: 'west', ready: false, known: false, restored: { records: expect.any(Number), 'left-out': [] } },
    ]);
    expect(restarted.waitingFor).toEqual([expect.stringContaining('cluster west')]);
    expect(await kernel()).toEqual(state);
    expect(await mesh()).toEqual(view);

    await succeed('lab', 'stop', victim?.path ?? '', '--name', lab);
    await succeed('lab', 'heal', 'east', 'west', '--name', lab);
    await eventually(async () => expect(hasAddress(await kernel(), remoteServer)).toBe(false), 60_000);
    await succeed('lab', 'start', victim?.path ?? '', '--name', lab);
    await eventually(async () => expect(await mesh()).toEqual(view));
    const [healed] = (await agentStatus()).clusters;
    expect(healed).toMatchObject({ ready: true, known: true });
    expect(healed).not.toHaveProperty('restored');
    await eventually(async () => expect(withoutNumbers(await kernel())).toEqual(withoutNumbers(state)));
  }, 180_000);
});

/** The service maps number backends in the order of their coming; all else is comparable. */
function withoutNumbers(state: readonly string[]): string[] {
  return state.filter((line) => !line.startsWith('map isthmus_lb4_'));
}
