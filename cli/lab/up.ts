import { fileURLToPath } from 'node:url';
import { asTyped } from '../../lab/index.ts';
import { type ExitCode, defineCommand } from '../command.ts';
import { labOptions } from './lab-options.ts';
import { startDetached } from './start-detached.ts';

const main = fileURLToPath(new URL(`../main${import.meta.url.endsWith('.js') ? '.js' : '.ts'}`, import.meta.url));

/** `isthmus lab up`: the lab in the background. */
export const up = defineCommand({
  description: 'Brings the lab up and leaves it running in the background; `isthmus lab down` ends it.',
  options: labOptions,
  examples: ['isthmus lab up --name mine --topology topology.yaml --manifests ./manifests'],
  ends: true,
  async run(context, { options }): Promise<ExitCode> {
    const argv = [
      '--disable-warning=ExperimentalWarning',
      main,
      'lab',
      'run',
      '--name',
      options.name,
      '--kernel',
      options.kernel,
      '--tc-mode',
      options.tcMode,
    ];
    argv.push('--log-level', options.logLevel, '--store', options.store);
    if (options.topology !== undefined) argv.push('--topology', options.topology);
    for (const path of options.manifests ?? []) argv.push('--manifests', path);
    const code = await startDetached(argv, context);
    if (code !== 0) return code;
    context.stdout(
      `Lab ${options.name} is up. See it with: ${asTyped('lab status', options.name)}; end it with: ${asTyped('lab down', options.name)}\n`,
    );
    return 0;
  },
});
