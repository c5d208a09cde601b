import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const checkout = join(import.meta.dirname, '../../..');
/** What is not of the package's making: it would only be copied for nothing. */
const notCopied = new Set(['.git', 'coverage', 'dist', 'docs', 'node_modules', 'test', 'bench']);

let folder = '';
let isthmus = '';

/** Packs a copy of the checkout, as `npm publish` would, and unpacks it where `npm install` would put it. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-package-'));
  const source = join(folder, 'source');
  mkdirSync(source);
  for (const name of readdirSync(checkout).filter((one) => !notCopied.has(one)))
    cpSync(join(checkout, name), join(source, name), { recursive: true, preserveTimestamps: true });
  symlinkSync(join(checkout, 'node_modules'), join(source, 'node_modules'));
  // Older than what is installed, so that building does not begin with an installation.
  utimesSync(join(source, 'package-lock.json'), 0, 0);
  succeed('npm', ['pack', '--silent', '--pack-destination', folder], source);
  const modules = join(folder, 'node_modules');
  const installed = join(modules, 'isthmus');
  mkdirSync(installed, { recursive: true });
  for (const name of readdirSync(join(checkout, 'node_modules')).filter((one) => one !== '.bin'))
    symlinkSync(join(checkout, 'node_modules', name), join(modules, name));
  const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  succeed('tar', ['xzf', join(folder, tarball), '-C', installed, '--strip-components=1'], folder);
  isthmus = join(modules, '.bin', 'isthmus');
  mkdirSync(join(modules, '.bin'));
  symlinkSync('../isthmus/bin/isthmus', isthmus);
}, 180_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function succeed(command: string, words: readonly string[], cwd: string): string {
  const run = spawnSync(command, words, { cwd, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`${command} ${words.join(' ')} ended with ${run.status}: ${run.stderr}`);
  return run.stdout;
}

test('the packed package knows its version and has a page of help', () => {
  expect(succeed(isthmus, ['--version'], folder)).toMatch(/^isthmus \d+\.\d+\.\d+\n$/);
  expect(succeed(isthmus, ['lab', '--help'], folder)).toContain('Usage: isthmus lab COMMAND');
});

test('the packed package runs the lab with the example that it brings along', () => {
  const name = `t-pack-${process.pid.toString(36)}`;
  const words = ['lab', 'run', '--kernel', 'memory', '--once', '--name', name, '-o', 'json'];
  const report = JSON.parse(succeed(isthmus, words, folder)) as { problems: unknown; services: { name: string }[] };
  expect(report.problems).toEqual([]);
  expect(report.services.map((service) => service.name)).toContain('frontend');
}, 120_000);
