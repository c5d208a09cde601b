import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const top = join(import.meta.dirname, '../../..');

/** Which rooms a room may import (docs/architecture.md). Kept apart from the linter's own configuration, to judge it. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  values: [],
  runtime: [],
  kvstore: ['runtime', 'values'],
  kubernetes: ['runtime', 'values'],
  kernel: ['runtime', 'values'],
  policy: ['kubernetes', 'runtime', 'values'],
  clustermesh: ['policy', 'kvstore', 'kubernetes', 'runtime', 'values'],
  tunnel: ['kernel', 'runtime', 'values'],
  encryption: ['kernel', 'runtime', 'values'],
  datapath: ['kernel', 'runtime', 'values'],
};
const below = Object.keys(arrows);
const rooms: typeof arrows = {
  ...arrows,
  agent: below,
  lab: ['agent', ...below],
  simulation: ['agent', ...below],
  cli: ['lab', 'simulation', 'agent', ...below],
};

interface Diagnostic {
  readonly code: string;
  readonly filename: string;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-lint-'));
  await cp(join(top, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
  await cp(join(top, 'tsconfig.json'), join(folder, 'tsconfig.json'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await symlink(join(top, 'node_modules'), join(folder, 'node_modules'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function seed(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
}

/** Rules by file, as the project's own linter and configuration report them. */
function lint(path: string): string[] {
  const run = spawnSync(process.execPath, [join(top, 'node_modules/oxlint/bin/oxlint'), '-f', 'json', path], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  const { diagnostics } = JSON.parse(run.stdout) as { diagnostics: readonly Diagnostic[] };
  return diagnostics.map(({ code, filename }) => `${filename} ${code}`);
}

describe('the linter', () => {
  test('refuses every import against the arrows, from any depth, and no other', async () => {
    const expected: string[] = [];
    for (const [room, allowed] of Object.entries(rooms))
      for (const target of Object.keys(rooms).filter((other) => other !== room))
        for (const inside of ['', 'part/', 'part/of/', 'part/of/it/']) {
          const path = `${room}/${inside}imports-${target}.ts`;
          const up = '../'.repeat(inside.split('/').length);
          await seed(path, `export { thing } from '${up}${target}/index.ts';\n`);
          if (!allowed.includes(target)) expected.push(`${path} eslint(no-restricted-imports)`);
        }
    expect(expected.length).toBeGreaterThan(400);
    const found = lint('.').filter((line) => line.includes('no-restricted-imports'));
    expect(found.toSorted()).toEqual(expected.toSorted());
  });

  test('lets a room import only the face of another', async () => {
    await seed('agent/inside.ts', "export { thing } from '../kvstore/embedded/thing.ts';\n");
    await seed('agent/face.ts', "export { thing } from '../kvstore/embedded/index.ts';\n");
    const found = ['agent/inside.ts', 'agent/face.ts']
      .flatMap(lint)
      .filter((line) => line.includes('no-restricted-imports'));
    expect(found).toEqual(['agent/inside.ts eslint(no-restricted-imports)']);
  });

  test('lets only the kernel room call foreign functions', async () => {
    for (const room of Object.keys(rooms)) await seed(`${room}/ffi.ts`, `export { load } from 'koffi';\n`);
    const found = lint('.')
      .filter((line) => line.includes('/ffi.ts eslint(no-restricted-imports)'))
      .map((line) => line.slice(0, line.indexOf('/')));
    expect(found.toSorted()).toEqual(
      Object.keys(rooms)
        .filter((room) => room !== 'kernel')
        .toSorted(),
    );
  });

  test('keeps tests and benchmarks out of shipped code', async () => {
    for (const room of Object.keys(rooms)) await seed(`${room}/fake.ts`, `export { x } from '../test/support/x.ts';\n`);
    const found = lint('.').filter((line) => line.includes('/fake.ts eslint(no-restricted-imports)'));
    expect(found).toHaveLength(Object.keys(rooms).length);
  });

  test.each([
    { rule: 'no-floating-promises', text: 'export function f(): void {\n  Promise.resolve(1);\n}\n' },
    {
      rule: 'no-misused-promises',
      text: 'export function f(run: (done: () => void) => void): void {\n  run(async () => {\n    await Promise.resolve(1);\n  });\n}\n',
    },
    {
      rule: 'switch-exhaustiveness-check',
      text: "export function f(x: 'a' | 'b'): number {\n  switch (x) {\n    case 'a':\n      return 1;\n  }\n  return 2;\n}\n",
    },
  ])('refuses what $rule is about', async ({ rule, text }) => {
    await seed('values/bad.ts', text);
    expect(lint('values/bad.ts')).toEqual([`values/bad.ts typescript(${rule})`]);
  });

  test('refuses a circle of imports', async () => {
    await seed('values/one.ts', "import { two } from './two.ts';\nexport const one = (): number => two();\n");
    await seed('values/two.ts', "import { one } from './one.ts';\nexport const two = (): number => one();\n");
    const found = lint('values/').filter((line) => line.includes('no-cycle'));
    expect(found.toSorted()).toEqual(['values/one.ts import(no-cycle)', 'values/two.ts import(no-cycle)']);
  });
});
