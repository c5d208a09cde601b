import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Soak } from './soak.ts';

const top = fileURLToPath(new URL('../../', import.meta.url));
const folder = 'test/contract/store';

/** Only these, as their files are named: `memory,etcd-three`. */
const wanted = process.env['ISTHMUS_CONTRACT_STORES']?.split(',');

/** Every test file of the contract, those that need no server first. */
function files(): string[] {
  const testsIn = (path: string): string[] =>
    readdirSync(`${top}${path}`)
      .filter((name) => name.endsWith('.test.ts') && (wanted?.includes(name.slice(0, -'.test.ts'.length)) ?? true))
      .map((name) => `${path}/${name}`);
  return [...testsIn(folder), ...testsIn(`${folder}/servers`)];
}

export const storeContract: Soak = {
  name: 'store-contract',
  title: 'every case of the store contract on every store and topology (the servers are started here)',
  run: async (print) => {
    const unknown = wanted?.filter((name) => !files().some((file) => file.endsWith(`/${name}.test.ts`))) ?? [];
    if (unknown.length > 0) {
      print(`No store of the contract is called ${unknown.join(', ')} (ISTHMUS_CONTRACT_STORES)`);
      return false;
    }
    let sound = true;
    for (const file of files()) {
      const { code, said } = await runTests(file);
      const counts = said.match(/^.* cases of the store contract.*$/gm) ?? [];
      const summary = said.match(/^\d+ passed, .*$/m)?.[0] ?? 'no summary';
      print(`${counts.join('; ') || file}: ${summary}`);
      if (code === 0) continue;
      sound = false;
      for (const line of said.match(/^ {2}● .*$/gm) ?? []) print(`  ${line.trim()}`);
    }
    return sound;
  },
};

function runTests(file: string): Promise<{ readonly code: number | null; readonly said: string }> {
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, 'node_modules/jest/bin/jest.js', '--runTestsByPath', file], {
    cwd: top,
    env: { ...process.env, ISTHMUS_CONTRACT: 'full' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, said }));
  });
}
