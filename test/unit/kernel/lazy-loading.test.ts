import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';

const face = new URL('../../../kernel/index.ts', import.meta.url).href;

/** Runs a script in a process of its own, where nothing has been loaded yet. */
function run(script: string, env: NodeJS.ProcessEnv = {}): string {
  return execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  }).trim();
}

describe('importing the kernel room', () => {
  test('loads no native library, and the in-memory kernel needs none', () => {
    const script = `
      const { MemoryKernel } = await import(${JSON.stringify(face)});
      const kernel = new MemoryKernel();
      await kernel.network.createLink({ kind: 'bridge', name: 'br0' });
      kernel.bpf.createMap({ name: 'm', type: 'hash', keySize: 4, valueSize: 4, maxEntries: 1 });
      const natives = process.report.getReport().sharedObjects.filter((path) => /koffi|libbpf/.test(path));
      console.log(JSON.stringify(natives));`;
    expect(run(script)).toBe('[]');
  });

  test('off Linux, opening the real kernel says what can be done', () => {
    const script = `
      Object.defineProperty(process, 'platform', { value: 'darwin' });
      const { openLinuxKernel } = await import(${JSON.stringify(face)});
      await openLinuxKernel().catch((error) => console.log(error.name, error.message));`;
    expect(run(script)).toBe(
      'MissingFeatureError Linux is missing: only the in-memory kernel runs here; start with --kernel memory',
    );
  });
});
