import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { needs } from '../../support/probe.ts';
import { isthmus, leftovers, smallLab, uniqueName } from './isthmus.ts';

describe('bad input to the lab', () => {
  const name = uniqueName('bad');
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'isthmus-bad-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const file = (text: string): string => {
    const path = join(folder, `${Math.random().toString(36).slice(2)}.yaml`);
    writeFileSync(path, text);
    return path;
  };

  test.each([
    {
      wrong: 'an unknown cluster',
      topology: 'workloads: { shop/web: { north: 1 } }',
      says: 'cluster "north" is not one of east, west',
    },
    {
      wrong: 'two clusters with one id',
      topology: 'clusters: [{ name: a, id: 1 }, { name: b, id: 1 }]',
      says: 'clusters[1].id: 1 is already the id of cluster a',
    },
    {
      wrong: 'an id beyond 255',
      topology: 'clusters: [{ name: a, id: 256 }]',
      says: 'clusters[0].id: expected a number from 1 to 255, found 256',
    },
    {
      wrong: 'overlapping pod CIDRs',
      topology: 'clusters: [{ name: a, id: 1, podCIDR: 10.0.0.0/12 }, { name: b, id: 2, podCIDR: 10.4.0.0/16 }]',
      says: 'overlaps',
    },
  ])('a topology with $wrong ends with 2, names file and field, and makes nothing', async ({ topology, says }) => {
    const path = file(topology);
    const outcome = await isthmus(
      'lab',
      'run',
      '--once',
      '--kernel',
      'memory',
      '--name',
      name,
      '--topology',
      path,
      '--manifests',
      smallLab[1],
    );
    expect([outcome.code, outcome.stdout]).toEqual([2, '']);
    expect(outcome.stderr).toContain(path);
    expect(outcome.stderr).toContain(says);
    expect(leftovers(name)).toEqual([]);
  });

  test('a broken manifest is named with file, document number and field', async () => {
    const path = file(
      'apiVersion: v1\nkind: Namespace\nmetadata: { name: a }\n---\napiVersion: v1\nkind: Service\nmetadata: { name: b, namespace: a }\nspec: { ports: [{ port: 99999 }] }\n',
    );
    const outcome = await isthmus('lab', 'run', '--once', '--kernel', 'memory', '--name', name, '--manifests', path);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(/\.yaml.*document 2.*spec\.ports\[0\]\.port/);
  });

  test('manifests in which nothing can be run are refused rather than called well', async () => {
    const path = file('# nothing here\n');
    const outcome = await isthmus('lab', 'run', '--once', '--kernel', 'memory', '--name', name, '--manifests', path);
    expect([outcome.code, outcome.stderr]).toEqual([2, expect.stringContaining(`${path}: no object`)]);
    expect(leftovers(name)).toEqual([]);
  });

  test('a file that is not there ends with 2 and its name', async () => {
    const outcome = await isthmus(
      'lab',
      'run',
      '--once',
      '--kernel',
      'memory',
      '--name',
      name,
      '--manifests',
      join(folder, 'absent'),
    );
    expect([outcome.code, outcome.stderr.includes('absent')]).toEqual([2, true]);
  });

  test.each([
    { call: ['lab', 'status'], says: 'There is no running lab' },
    { call: ['lab', 'down'], says: 'There is no lab' },
    { call: ['lab', 'cut', 'east', 'west'], says: 'There is no running lab' },
    { call: ['lab', 'stop', 'a/b/c'], says: 'There is no running lab' },
  ])('$call of a lab that does not run ends with 2 and says so', async ({ call, says }) => {
    const outcome = await isthmus(...call, '--name', name);
    expect([outcome.code, outcome.stderr.includes(says)]).toEqual([2, true]);
  });

  test('two different objects of one name are refused with both places', async () => {
    const namespace = (labels: string): string =>
      `apiVersion: v1\nkind: Namespace\nmetadata: { name: a, labels: {${labels}} }\n`;
    const path = file(`${namespace('')}---\n${namespace('team: red')}`);
    const outcome = await isthmus('lab', 'run', '--once', '--kernel', 'memory', '--name', name, '--manifests', path);
    expect([outcome.code, outcome.stdout]).toEqual([2, '']);
    expect(outcome.stderr).toContain(
      `${path}: document 2 (line 4): metadata.name: Namespace a stands in ${path}, document 1`,
    );
  });

  test('a Service whose selector matches nothing is a note while the lab starts and in its report', async () => {
    const text = readFileSync(smallLab[1], 'utf8');
    const path = file(
      `${text}---\napiVersion: v1\nkind: Service\nmetadata: { name: nobody }\nspec: { selector: { app: nobody }, ports: [{ port: 80 }] }\n`,
    );
    const words = ['--once', '--kernel', 'memory', '--name', name, '-o', 'json', '--manifests', path];
    const outcome = await isthmus('lab', 'run', ...words);
    expect(outcome.code).toBe(0);
    const { warnings } = JSON.parse(outcome.stdout) as { readonly warnings: readonly string[] };
    const note = warnings.find((warning) => warning.includes('spec.selector: Service default/nobody'));
    expect(note).toMatch(/its selector matches no pod: it refuses every call$/);
    expect(outcome.stderr).toContain(`note: ${note}`);
  }, 60_000);

  test('a name that cannot be part of a namespace name is refused', async () => {
    const outcome = await isthmus('lab', 'run', '--once', '--kernel', 'memory', '--name', '../x');
    expect([outcome.code, outcome.stderr]).toEqual([2, expect.stringContaining('Lab name "../x"')]);
  });
});

needs(
  'root',
  'netns',
  'libbpf',
  'cgroup2',
)('a machine that lacks something', () => {
  const name = uniqueName('lack');
  const output = (...[command, ...words]: [string, ...string[]]): string =>
    execFileSync(command, words, { encoding: 'utf8' });

  test.each([
    {
      what: 'libbpf',
      hide: () => `mount --bind /dev/null ${/libbpf\.so\.1 .*=> (\S+)/.exec(output('/sbin/ldconfig', '-p'))?.[1]}`,
      says: 'libbpf.so.1 is missing: no eBPF program can be loaded',
    },
    {
      what: 'cgroup v2',
      hide: () => `umount -l ${/^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1]}`,
      says: 'cgroup v2 is missing: pods cannot use services at socket level',
    },
  ])(
    'is told that it has no $what before anything is made',
    ({ hide, says }) => {
      // In a mount namespace of its own.
      const run = `${hide()} && exec bin/isthmus lab run --once --name ${name} --manifests ${smallLab[1]}`;
      const ran = spawnSync('unshare', ['--mount', 'sh', '-c', run], { encoding: 'utf8' });
      expect([ran.status, ran.stdout]).toEqual([2, '']);
      expect(ran.stderr).toContain(says);
      expect(leftovers(name)).toEqual([]);
    },
    60_000,
  );
});

needs('root', 'netns')('a namespace that the lab would make and somebody else has made', () => {
  test('stays, and the lab says that its name is taken', async () => {
    const name = uniqueName('own');
    const theirs = `isth-${name}-east-node-1`;
    execFileSync('ip', ['netns', 'add', theirs]);
    try {
      const { code, stderr } = await isthmus('lab', 'run', '--once', '--name', name, ...smallLab);
      expect([code, stderr]).toEqual([2, expect.stringContaining(`Network namespace ${theirs} is there already`)]);
      expect(execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })).toContain(theirs);
    } finally {
      execFileSync('ip', ['netns', 'delete', theirs]);
    }
    expect(leftovers(name)).toEqual([]);
  }, 60_000);
});
