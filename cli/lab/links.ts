import { type Command, type ExitCode, defineCommand } from '../command.ts';
import { callLab } from './call-lab.ts';
import { nameOption } from './lab-options.ts';

/** `isthmus lab cut A B`. */
export const cut = linkCommand(
  'cut',
  'Drops every packet between two clusters, nodes or apiservers, in both directions: stores and pods alike.',
);

/** `isthmus lab heal A B`. */
export const heal = linkCommand('heal', 'Lets packets through again that `lab cut` dropped.');

function linkCommand(action: 'cut' | 'heal', description: string): Command<typeof nameOption> {
  return defineCommand({
    description,
    options: nameOption,
    ends: true,
    positionals: { usage: '<a> <b>', min: 2, max: 2 },
    examples: [`isthmus lab ${action} east west`, `isthmus lab ${action} east/node-1 west/apiserver`],
    async run(context, { options, positionals: [a, b] }): Promise<ExitCode> {
      await callLab(options.name, {
        method: 'POST',
        route: `/v1/links/${action}`,
        body: { a, b },
        signal: context.signal,
      });
      context.stdout(`${a} ${action === 'cut' ? '✗' : '–'} ${b}\n`);
      return 0;
    },
  });
}
