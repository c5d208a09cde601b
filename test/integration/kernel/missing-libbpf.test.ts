import { execFileSync, spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { needs } from '../../support/probe.ts';

const face = new URL('../../../kernel/index.ts', import.meta.url).href;

/** Where the loader finds libbpf. */
function libbpfPath(): string {
  const line = execFileSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' })
    .split('\n')
    .find((text) => text.includes('libbpf.so.1 '));
  return line?.split('=> ')[1]?.trim() ?? '';
}

needs(
  'linux',
  'root',
  'netns',
  'libbpf',
)('a machine without libbpf', () => {
  test('is told what it costs and how to install it, and can still use links and routes', () => {
    const script = `
      const { createNamespace, openLinuxKernel, probeKernel } = await import(${JSON.stringify(face)});
      await openLinuxKernel().catch((error) => console.log(error.name + ': ' + error.message));
      const { features } = await probeKernel();
      console.log(features.filter(({ missing }) => missing).map(({ name }) => name).join(' '));`;
    // In a mount namespace of its own the library is an empty file.
    const shell = 'mount --bind /dev/null "$1" && shift && exec "$@"';
    const node = [process.execPath, '--input-type=module', '--eval', script];
    const ran = spawnSync('unshare', ['--mount', 'sh', '-c', shell, 'sh', libbpfPath(), ...node], { encoding: 'utf8' });
    expect(ran.stderr).toBe('');
    expect(ran.stdout.split('\n')).toEqual([
      expect.stringMatching(
        /^MissingFeatureError: libbpf\.so\.1 is missing: no eBPF program .* apt-get install libbpf1\)$/,
      ),
      'libbpf bpf tcx cgroup',
      '',
    ]);
  });
});
