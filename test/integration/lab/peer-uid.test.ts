import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { apiserverPaths, labPaths, nodePaths } from '../../../lab/index.ts';
import { needs } from '../../support/probe.ts';
import { isthmus, smallLab, succeed, uniqueName } from './isthmus.ts';

const name = uniqueName('uid');
/** Says what the other end of a socket sends, a request sent or not, until it closes or has said something. */
const client = `
  const socket = require('node:net').connect(process.argv[1]);
  const end = (answer) => { process.stdout.write(answer); process.exit(0); };
  if (process.argv[2]) socket.on('connect', () => socket.write('GET ' + process.argv[2] + ' HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n'));
  socket.on('data', (chunk) => end('answered ' + chunk));
  socket.on('close', () => end('closed'));
  socket.on('error', (error) => { if (!['EPIPE', 'ECONNRESET'].includes(error.code)) end('error ' + error.message); });
`;
/** Another user whom no mode of a file or directory keeps out: only the check of the uid is left. */
const stranger = [
  '--reuid',
  '65534',
  '--clear-groups',
  '--inh-caps',
  '+dac_override',
  '--ambient-caps',
  '+dac_override',
];

function ask(user: readonly string[], path: string, route = ''): string {
  const { stdout, stderr, error } = spawnSync('setpriv', [...user, process.execPath, '-e', client, path, route], {
    encoding: 'utf8',
  });
  if (error) throw error;
  return stdout === '' ? `nothing: ${stderr}` : stdout;
}

needs('root')('the sockets of a lab', () => {
  beforeAll(async () => {
    await succeed('lab', 'up', '--kernel', 'memory', '--name', name, ...smallLab);
  });
  afterAll(async () => {
    await isthmus('lab', 'down', '--name', name);
  });

  const paths = labPaths(name);
  const sockets = [
    { what: 'the objects of a cluster', path: apiserverPaths(paths, 'east').sourceSocket, route: '' },
    { what: 'an apiserver', path: apiserverPaths(paths, 'east').apiSocket, route: '/v1/status' },
    { what: 'an agent', path: nodePaths(paths, 'east', 'node-1').apiSocket, route: '/v1/status' },
    { what: 'the lab itself', path: paths.controlSocket, route: '/v1/status' },
  ];
  describe.each(sockets)('$what', ({ path, route }) => {
    test('answers its own user', () => {
      expect(ask([], path, route)).toMatch(/^answered /);
    });

    test('tells another user nothing, though the file system would let them in', () => {
      expect(ask(stranger, path, route)).toMatch(/^(closed|answered HTTP\/1\.1 403 )/);
    });
  });
});
