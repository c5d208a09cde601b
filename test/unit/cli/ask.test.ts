import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { CommandContext } from '../../../cli/command.ts';
import { runCommandLine } from '../../../cli/run.ts';
import { tree } from '../../../cli/tree.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { type ApiRoutes, type UnixApiServer, serveUnixApi } from '../../../runtime/serve/index.ts';

let folder: string;
let servers: UnixApiServer[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-cli-'));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  await rm(folder, { recursive: true, force: true });
});

/** A process of the mesh, as far as its control socket goes. */
async function serve(name: string, routes: ApiRoutes): Promise<string> {
  const path = join(folder, name, 'api.sock');
  servers.push(await serveUnixApi({ path, routes, log: silentLogger }));
  return path;
}

/** An agent that knows two IPs, one of each cluster. */
function agentRoutes(cluster: string, more: Record<string, unknown> = {}): ApiRoutes {
  const ips = [
    { cluster: 'east', ip: '10.1.0.4', identity: 65_540, hostIp: '192.168.1.1', namespace: 'shop', podName: 'cart-1' },
    { cluster: 'west', ip: '10.2.0.4', identity: 131_080, hostIp: '192.168.2.1', namespace: 'shop', podName: 'ad-1' },
  ];
  return {
    'GET /v1/status': () => ({
      cluster,
      clusterId: cluster === 'east' ? 1 : 2,
      node: 'n1',
      nodeIp: '192.168.1.1',
      uptimeSeconds: 5,
      ready: true,
      waitingFor: [],
      store: { connected: true, revision: 7, endpoint: 'http://store', reconnections: 0 },
      counts: { nodes: 1, endpoints: 2, identities: 3, services: 4, localEndpoints: 1 },
      clusters: [],
      tables: [{ name: 'ipcache', pending: 0 }],
      routes: 2,
      socketLevel: true,
      registration: { keys: 2, queued: 0, refused: [] },
      ...more,
    }),
    'GET /v1/ips': ({ query }) => ips.filter((ip) => !query.has('cluster') || ip.cluster === query.get('cluster')),
    'GET /v1/services': () => [{ cluster, namespace: 'shop', name: 'ad', backends: [] }],
  };
}

async function run(...argv: readonly string[]) {
  let stdout = '';
  let stderr = '';
  const context: CommandContext = {
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
    env: {},
    clock: new VirtualClock(),
    signal: new AbortController().signal,
    terminal: undefined,
  };
  return { code: await runCommandLine(tree, argv, '0', context), stdout, stderr };
}

describe('isthmus get', () => {
  test('prints a table of what an agent knows, of one cluster when asked', async () => {
    const socket = await serve('east', agentRoutes('east', { clusters: [{ name: 'west' }] }));
    const { code, stdout } = await run('get', 'ips', '--cluster', 'west', '--api-socket', socket);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout:
        'IP        CLUSTER  IDENTITY  HOST         NAMESPACE  POD\n10.2.0.4  west       131080  192.168.2.1  shop       ad-1\n',
    });
  });

  test('asks one agent of every cluster for services, and one at all for IPs', async () => {
    const sockets = [await serve('east', agentRoutes('east')), await serve('west', agentRoutes('west'))];
    const ask = async (resource: string): Promise<{ cluster: string }[]> =>
      JSON.parse((await run('get', resource, '-o', 'json', '--api-socket', sockets.join(','))).stdout) as {
        cluster: string;
      }[];
    expect((await ask('services')).map(({ cluster }) => cluster)).toEqual(['east', 'west']);
    expect(await ask('ips')).toHaveLength(2);
  });

  test('goes on with those that answer, and fails when none does', async () => {
    const socket = await serve('east', agentRoutes('east'));
    const absent = join(folder, 'absent.sock');
    expect((await run('get', 'ips', '--api-socket', absent, '--api-socket', socket)).code).toBe(0);
    const { code, stderr } = await run('get', 'ips', '--api-socket', absent);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `isthmus: Cannot reach ${absent}: there is no such socket; the process is not running or its socket is elsewhere\n`,
    });
  });

  test('refuses a cluster that is not in the mesh, and names those that are', async () => {
    const socket = await serve('east', agentRoutes('east', { clusters: [{ name: 'west' }] }));
    const { code, stdout, stderr } = await run('get', 'ips', '--cluster', 'WEST', '--api-socket', socket);
    expect({ code, stdout, stderr }).toEqual({
      code: 2,
      stdout: '',
      stderr: 'isthmus: There is no cluster "WEST" in this mesh\n  did you mean west? known: east, west\n',
    });
  });

  test('says whose socket it is when it is not that of an agent', async () => {
    const socket = await serve('east', { 'GET /v1/status': () => ({ clusterName: 'east', canaries: [] }) });
    const { code, stderr } = await run('get', 'ips', '--api-socket', socket);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: `isthmus: ${socket} belongs to an apiserver, and only agents know what is in the mesh\n  give the control socket of an agent; isthmus status asks any process\n`,
    });
  });

  test('names the resource that was probably meant', async () => {
    expect(await run('get', 'nods')).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean nodes?') });
  });

  test('names the lab that does not run', async () => {
    const { code, stderr } = await run('get', 'nodes', '--name', 'no-such-lab');
    expect(code).toBe(2);
    expect(stderr).toContain('There is no running lab "no-such-lab"');
  });
});

describe('isthmus status', () => {
  test('says that all is well, with exit code 0', async () => {
    const socket = await serve('east', agentRoutes('east'));
    const { code, stdout } = await run('status', '--api-socket', socket);
    expect(code).toBe(0);
    expect(stdout).toContain('agent east/n1 (192.168.1.1): ready, up 5 s\n');
    expect(stdout).toContain('  ClusterMesh:   0/0 remote clusters ready\n');
  });

  test('exits 1 when somebody is not ready, and says what is waited for', async () => {
    const socket = await serve('east', agentRoutes('east', { ready: false, waitingFor: ['nodes of west'] }));
    const { code, stdout } = await run('status', '--api-socket', socket);
    expect(code).toBe(1);
    expect(stdout).toContain('not ready, waiting for nodes of west');
  });

  test('exits 1 when somebody has lost its own store, and says since when and why', async () => {
    const store = {
      connected: false,
      revision: 7,
      endpoint: 'http://store',
      reconnections: 1,
      error: 'Cannot connect: ECONNREFUSED',
      lostSinceMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    };
    const socket = await serve('east', agentRoutes('east', { store }));
    const { code, stdout } = await run('status', '--api-socket', socket);
    expect(code).toBe(1);
    expect(stdout).toContain(
      'Store:         http://store: not connected since 2026-01-02T03:04:05.000Z (Cannot connect: ECONNREFUSED)',
    );
  });

  test('exits 1 when somebody does not answer, and still shows the others', async () => {
    const socket = await serve('east', agentRoutes('east'));
    const absent = join(folder, 'absent.sock');
    const { code, stdout } = await run('status', '-o', 'json', '--api-socket', absent, '--api-socket', socket);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject([
      { socket: absent, error: expect.stringContaining('Cannot reach') },
      { socket, status: { cluster: 'east' } },
    ]);
  });
});

describe('commands', () => {
  test.each([
    { argv: ['store', 'serve', '--data-dir', 'd', '--listen', '0.0.0.0:1'], says: 'is reachable by others' },
    { argv: ['store', 'serve'], says: '--data-dir is required' },
    {
      argv: ['store', 'serve', '--data-dir', 'd', '--cluster-name', 'east'],
      says: '--cluster-name needs users, whom certificates name',
    },
    {
      argv: ['store', 'serve', '--data-dir', 'd', '--cluster-name', 'east', '--cert-file', 'c', '--key-file', 'k'],
      says: '--cluster-name needs users, whom certificates name',
    },
    {
      argv: [
        'apiserver',
        '--cluster-name',
        'east',
        '--cluster-id',
        '1',
        '--source',
        'files:x',
        '--store',
        'memory',
        '--listen',
        '127.0.0.1:0',
      ],
      says: '--source expects kubernetes, kubernetes:KUBECONFIG, manifests:DIR or stream:SOCKET',
    },
    {
      argv: ['apiserver', '--cluster-name', 'east', '--cluster-id', '1', '--source', 'stream:x'],
      says: '--data-dir is required for the embedded store',
    },
    {
      argv: ['apiserver', '--cluster-name', 'East', '--cluster-id', '1', '--source', 'stream:x'],
      says: '"East" is no cluster name',
    },
    {
      argv: ['apiserver', '--cluster-name', 'east', '--cluster-id', '256', '--source', 'stream:x'],
      says: '256 is beyond --max-connected-clusters 255',
    },
    { argv: ['store', 'serve', '--data-dir', '/dev/null'], says: '--data-dir /dev/null is not a directory' },
    {
      argv: [
        'apiserver',
        '--cluster-name',
        'e',
        '--cluster-id',
        '1',
        '--source',
        'stream:x',
        '--data-dir',
        '/dev/null',
      ],
      says: '--data-dir /dev/null is not a directory',
    },
    { argv: ['lab', 'status', '--name', '../x'], says: 'Lab name "../x": expected 1–20 lower-case letters' },
    { argv: ['status', '--name', '../x'], says: 'Lab name "../x": expected 1–20 lower-case letters' },
    {
      argv: ['lab', 'run', '--once', '--kernel', 'memory', '--topology', '/nope'],
      says: '--topology: there is no file or directory /nope',
    },
    {
      argv: ['lab', 'run', '--once', '--kernel', 'memory', '--manifests', '/nope'],
      says: '--manifests: there is no file or directory /nope',
    },
    {
      argv: ['agent', '--cluster-name', 'east', '--cluster-id', '0'],
      says: '--cluster-id expects a whole number from 1 to 511',
    },
  ])('refuse $argv with exit code 2', async ({ argv, says }) => {
    const { code, stderr } = await run(...argv);
    expect(code).toBe(2);
    expect(stderr).toContain(says);
  });
});

test('What other clusters write does nothing to a terminal, and looks like no line of ours', async () => {
  const key = 'shop/\u001B]0;pwn\u0007\n   west: ready\u202E';
  const registration = { keys: 2, queued: 0, refused: [{ key, reason: 'words\u001B[2J' }] };
  const socket = await serve('east', agentRoutes('east', { registration }));
  const { stdout } = await run('status', '--api-socket', socket);
  expect(stdout).toContain('  Refused:       shop/\\x1b]0;pwn\\x07\\x0a   west: ready\\u{202e}: words\\x1b[2J\n');
  const other = await serve('other', { 'GET /v1/status': () => ({ ready: true, key }) });
  expect((await run('status', '--api-socket', other)).stdout).toContain('key: shop/\\x1b]0;pwn\\x07\\x0a   west');
});
