import { describe, expect, test } from '@jest/globals';
import type { CommandContext } from '../../../cli/command.ts';
import { runCommandLine } from '../../../cli/run.ts';
import { tree } from '../../../cli/tree.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';

async function run(...argv: readonly string[]) {
  let stderr = '';
  const context: CommandContext = {
    stdout: () => undefined,
    stderr: (text) => (stderr += text),
    env: {},
    clock: new VirtualClock(),
    signal: new AbortController().signal,
    terminal: undefined,
  };
  return { code: await runCommandLine(tree, argv, '0', context), stderr };
}

/** What each process needs beside its cluster, so that nothing else is wrong. */
const others: Readonly<Record<string, readonly string[]>> = {
  agent: ['--node-ip', '192.168.1.1', '--store-config', '/nowhere'],
  apiserver: ['--source', 'manifests:/nowhere'],
  kvstoremesh: ['--store-config', '/nowhere', '--clustermesh-config', '/nowhere'],
};

/** clustermesh-behaviour §11: what no process of a mesh starts with. */
describe.each(['agent', 'apiserver', 'kvstoremesh'])('isthmus %s does not start', (process) => {
  test.each([
    { when: 'without an id', argv: ['--cluster-name', 'east'], says: '--cluster-id' },
    { when: 'with id 0', argv: ['--cluster-name', 'east', '--cluster-id', '0'], says: '--cluster-id' },
    { when: 'with an id beyond 255', argv: ['--cluster-name', 'east', '--cluster-id', '256'], says: '256' },
    {
      when: 'with an id beyond 511',
      argv: ['--cluster-name', 'east', '--cluster-id', '512', '--max-connected-clusters', '511'],
      says: '--cluster-id',
    },
    {
      when: 'with the name default',
      argv: ['--cluster-name', 'default', '--cluster-id', '1'],
      says: '--cluster-name "default" is no cluster name',
    },
    { when: 'with a name that is none', argv: ['--cluster-name', 'East_1', '--cluster-id', '1'], says: 'East_1' },
    {
      when: 'with another number of clusters than 255 or 511',
      argv: ['--cluster-name', 'east', '--cluster-id', '1', '--max-connected-clusters', '300'],
      says: '--max-connected-clusters',
    },
  ])('$when', async ({ argv, says }) => {
    const { code, stderr } = await run(process, ...argv, ...(others[process] ?? []));
    expect(stderr).toContain(says);
    expect(code).toBe(2);
  });
});

test.each([
  { when: 'an address that is none', argv: ['--node-ip', '1.2.3.400'], says: '--node-ip' },
  { when: 'an IPv6 address', argv: ['--node-ip', '::1'], says: '--node-ip' },
  { when: 'an address that nobody has', argv: ['--node-ip', '0.0.0.0'], says: '--node-ip' },
  { when: 'a multicast address', argv: ['--node-ip', '224.0.0.1'], says: '--node-ip' },
  { when: 'a name with a slash', argv: ['--node-ip', '192.168.1.1', '--node-name', 'a/b'], says: '--node-name' },
  { when: 'a name that leads up', argv: ['--node-ip', '192.168.1.1', '--node-name', '..'], says: '--node-name' },
])('isthmus agent does not start with $when for its node', async ({ argv, says }) => {
  const agent = ['agent', '--cluster-name', 'east', '--cluster-id', '1', '--store-config', '/nowhere'];
  const { code, stderr } = await run(...agent, ...argv);
  expect(stderr).toContain(says);
  expect(code).toBe(2);
});
