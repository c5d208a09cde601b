import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CommandContext } from '../../../cli/command.ts';
import { remoteClusterLines } from '../../../cli/remote-lines.ts';
import { statusText } from '../../../cli/status-text.ts';
import { runCommandLine } from '../../../cli/run.ts';
import { tree } from '../../../cli/tree.ts';
import type { RemoteClusterStatus } from '../../../clustermesh/index.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { type UnixApiServer, serveUnixApi } from '../../../runtime/serve/index.ts';

const west: RemoteClusterStatus = {
  name: 'west',
  ready: false,
  connected: true,
  'num-nodes': 2,
  'num-endpoints': 3,
  'num-identities': 4,
  'num-shared-services': 5,
  'num-service-exports': 0,
  'num-failures': 2,
  'last-failure': '2026-01-01T00:00:00.000Z',
  status: 'etcd: 1/1 connected, http://west',
  config: { required: true, retrieved: true, 'cluster-id': 2, kvstoremesh: false, 'sync-canaries': true },
  synced: { nodes: true, endpoints: true, identities: true, services: true },
  'heartbeat-age-seconds': 130,
  'data-age-seconds': 131,
  stale: true,
  known: true,
  'lease-lost': { 'age-seconds': 9, 'kept-for-seconds': 86_391, withdrawn: false },
  refused: {
    total: 3,
    reasons: { malformed: 1, 'own-address': 2 },
    keys: [{ kind: 'ip', key: '10.1.1.5', code: 'own-address', reason: 'IP must be elsewhere' }],
  },
  certificate: {
    subject: 'CN=remote-east',
    fingerprint: 'AB',
    'not-after': '2026-06-01T00:00:00.000Z',
    file: '/c.crt',
  },
  failure: 'No heartbeat for 130 seconds',
  hint: 'The remote apiserver does not run',
};

test('of hundreds of clusters that are waited for some are named', () => {
  const text = (count: number): string => {
    const waitingFor = Array.from({ length: count }, (_, i) => `cluster c${i}`);
    const status = {
      kvstoremesh: 'east',
      ready: false,
      leader: true,
      waitingFor,
      clusters: [],
      draining: [],
      store: {},
    };
    return statusText({ role: 'kvstoremesh', socket: 's', status }).split('\n')[0] ?? '';
  };
  expect(text(11)).toContain('cluster c9, cluster c10, leading');
  expect(text(255)).toContain('cluster c9, 245 more, leading');
});

test('a remote cluster for people has what Cilium says of it, and what is ours', () => {
  expect(remoteClusterLines(west).join('\n')).toBe(
    `   west: not-ready, 2 nodes, 3 endpoints, 4 identities, 5 services, 0 MCS-API service exports, 2 reconnections (last: 2026-01-01T00:00:00.000Z)
   └  etcd: 1/1 connected, http://west
   └  remote configuration: expected=true, retrieved=true, cluster-id=2, kvstoremesh=false, sync-canaries=true, service-exports=unsupported
   └  synchronization status: nodes=true, endpoints=true, identities=true, services=true
   └  last heartbeat: 130 s ago (silent; what is known stays in use)
   └  what is known is from 131 s ago
   └  its lease was lost 9 s ago: what is known is kept for another 86391 s
   └  refused: 3 values so far (1 malformed, 2 own-address)
   └     ip 10.1.1.5: own-address: IP must be elsewhere
   └  our certificate: CN=remote-east, valid until 2026-06-01T00:00:00.000Z (/c.crt)
   └  No heartbeat for 130 seconds (The remote apiserver does not run)`,
  );
});

test('a kvstoremesh says once what agents have against a configuration', () => {
  const reason = 'clusterID 2 is also that of cluster north';
  const cluster = { ...west, refused: { total: 0, reasons: {}, keys: [] }, 'held-removals': 0, conflict: reason };
  const status = { kvstoremesh: 'east', ready: true, leader: true, waitingFor: [], draining: [], store: {} };
  const said = (failure: string): number => {
    const clusters = [{ ...cluster, failure, hint: 'Every cluster of a mesh needs an id of its own' }];
    const text = statusText({ role: 'kvstoremesh', socket: '/s', status: { ...status, clusters } });
    return text.split(reason).length - 1;
  };
  expect(said(reason)).toBe(1);
  // Beside something else that is wrong, it is said, too.
  expect(said('Connection lost')).toBe(1);
});

test('a kvstoremesh says what it does not copy, and why', () => {
  const keys = Array.from({ length: 9 }, (_, i) => ({ kind: 'ip', key: `k${i}`, reason: 'IP must be elsewhere' }));
  const refused = { total: 12, reasons: { 'not-allowed': 11, store: 1 }, keys };
  const status = { kvstoremesh: 'east', ready: true, leader: true, waitingFor: [], draining: [], store: {} };
  const clusters = [{ ...west, refused, 'held-removals': 0 }];
  const text = statusText({ role: 'kvstoremesh', socket: '/s', status: { ...status, clusters } });
  expect(text).toContain('1 records that the local store cannot take');
  expect(text).toContain('11 addresses outside of its allowedCIDRs, which are not copied');
  expect(text.split('IP must be elsewhere')).toHaveLength(6);
});

describe('isthmus status --wait', () => {
  let folder: string;
  let server: UnixApiServer | undefined;
  let clock: VirtualClock;
  let asked: number;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-status-'));
    clock = new VirtualClock();
    asked = 0;
  });
  afterEach(async () => {
    await server?.[Symbol.asyncDispose]();
    server = undefined;
    await rm(folder, { recursive: true, force: true });
  });

  const serve = async (readyFrom: number): Promise<string> => {
    const path = join(folder, 'api.sock');
    const routes = {
      'GET /v1/status': () => {
        asked++;
        return { ready: true, clusters: [{ ready: asked >= readyFrom }], asked };
      },
    };
    server = await serveUnixApi({ path, routes, log: silentLogger });
    return path;
  };

  /** Runs the command while time goes by. */
  const run = async (...argv: string[]): Promise<{ code: number; stdout: string; tookMs: number }> => {
    let stdout = '';
    const context: CommandContext = {
      stdout: (text) => (stdout += text),
      stderr: () => undefined,
      env: {},
      clock,
      signal: new AbortController().signal,
      terminal: undefined,
    };
    const state: { code?: number } = {};
    const done = runCommandLine(tree, ['status', '-o', 'json', ...argv], '0', context).then((code) => {
      state.code = code;
    });
    while (state.code === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (state.code === undefined) await clock.advance(100);
    }
    await done;
    return { code: state.code, stdout, tookMs: clock.monotonicMs() };
  };

  test('asks until all is ready', async () => {
    const socket = await serve(4);
    const { code, stdout } = await run('--wait', '--api-socket', socket);
    expect(code).toBe(0);
    expect(asked).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject([{ status: { asked: 4 } }]);
  });

  test('gives up when the time is over, with the last answer', async () => {
    const socket = await serve(Infinity);
    const { code, stdout, tookMs } = await run('--wait', '--wait-duration', '3s', '--api-socket', socket);
    expect(code).toBe(1);
    expect(tookMs).toBeGreaterThanOrEqual(3000);
    expect(JSON.parse(stdout)).toMatchObject([{ status: { asked } }]);
  });

  test('is waited with for a process that does not answer yet', async () => {
    const path = join(folder, 'api.sock');
    const { code, stdout } = await run('--wait', '--wait-duration', '1s', '--api-socket', path);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject([{ error: expect.stringContaining('there is no such socket') }]);
  });

  test('is waited with for somebody to ask; without it that is wrong use', async () => {
    const lab = `nowhere-${process.pid}`;
    const { code, stdout, tookMs } = await run('--wait', '--wait-duration', '2s', '--name', lab);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(tookMs).toBeGreaterThanOrEqual(2000);
    expect((await run('--name', lab)).code).toBe(2);
    expect((await run('--wait', '--name', 'No_Name')).code).toBe(2);
  });

  test('is not content with a node that its store refuses', async () => {
    const path = join(folder, 'api.sock');
    const refused = [{ key: 'cilium/state/nodes/v1/east/n2', reason: 'permission denied' }];
    const answer = { ready: true, clusters: [], registration: { keys: 2, queued: 0, refused } };
    server = await serveUnixApi({ path, routes: { 'GET /v1/status': () => answer }, log: silentLogger });
    expect((await run('--api-socket', path)).code).toBe(1);
    refused.pop();
    expect((await run('--api-socket', path)).code).toBe(0);
  });

  test('is not content with an apiserver that does not learn what changes, however complete what it published is', async () => {
    const path = join(folder, 'api.sock');
    const unread = [{ object: 'pods', reason: 'pods is forbidden' }];
    const answer = {
      clusterName: 'east',
      clusterId: 1,
      ready: true,
      waitingFor: [],
      counts: {},
      canaries: [],
      silentNodes: [],
      lastHeartbeat: '',
      store: { connected: true, endpoint: 'x' },
      unread,
      errors: [...unread, { object: 'Pod shop/web', reason: 'no address' }],
    };
    server = await serveUnixApi({ path, routes: { 'GET /v1/status': () => answer }, log: silentLogger });
    expect((await run('--api-socket', path)).code).toBe(1);
    const text = statusText({ role: 'apiserver', socket: path, status: answer });
    expect(text).toContain('apiserver east (id 1): ready, and does not learn what changes\n');
    expect(text).toContain('Not read:      pods: pods is forbidden\n');
    expect(text.split('pods is forbidden')).toHaveLength(2);
    expect(text).toContain('Left out:      Pod shop/web: no address\n');
    answer.unread = [];
    expect((await run('--api-socket', path)).code).toBe(0);
  });

  test.each([
    ['an apiserver', { unwritten: 'database space exceeded' }],
    ['an agent', { registration: { keys: 1, queued: 1, refused: [], unwritten: 'database space exceeded' } }],
  ])('is not content with %s that can write nothing, however complete what it wrote is', async (_, said) => {
    const path = join(folder, 'api.sock');
    const routes = { 'GET /v1/status': () => ({ ready: true, store: { connected: true }, ...said }) };
    server = await serveUnixApi({ path, routes, log: silentLogger });
    expect((await run('--api-socket', path)).code).toBe(1);
  });

  test('is content with an apiserver that waits for its turn, while it reaches its store', async () => {
    const path = join(folder, 'api.sock');
    const answer = {
      ready: false,
      waitingFor: ['first, who leads'],
      store: { connected: true },
      election: { identity: 'second', leading: false, leader: 'first' as string | undefined } as object & {
        leader: string | undefined;
        error?: string;
      },
    };
    server = await serveUnixApi({ path, routes: { 'GET /v1/status': () => answer }, log: silentLogger });
    expect((await run('--api-socket', path)).code).toBe(0);
    answer.store.connected = false;
    expect((await run('--api-socket', path)).code).toBe(1);
    answer.store.connected = true;
    answer.election.leader = undefined;
    expect((await run('--api-socket', path)).code).toBe(1);
    // The leader that it read of may be gone, and it could not take over.
    answer.election.leader = 'first';
    answer.election.error = 'database space exceeded';
    expect((await run('--api-socket', path)).code).toBe(1);
    delete answer.election.error;
    expect((await run('--api-socket', path)).code).toBe(0);
    // It has lost the office, and cannot ask for it: the last leader that it knows of is itself.
    answer.election.leader = 'second';
    expect((await run('--api-socket', path)).code).toBe(1);
  });

  test('without it, is asked once', async () => {
    const socket = await serve(2);
    expect((await run('--api-socket', socket)).code).toBe(1);
    expect(asked).toBe(1);
  });
});
