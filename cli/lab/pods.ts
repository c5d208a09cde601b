import { type Command, type ExitCode, defineCommand } from '../command.ts';
import { callLab } from './call-lab.ts';
import { nameOption } from './lab-options.ts';

/** `isthmus lab stop POD`. */
export const stop = podCommand(
  'stop',
  'Stops a pod as Kubernetes does: it gets no new connections, may finish for a second, and is gone.',
);

/** `isthmus lab start POD`. */
export const start = podCommand('start', 'Starts a stopped pod again, with the address it had.');

function podCommand(action: 'stop' | 'start', description: string): Command<typeof nameOption> {
  return defineCommand({
    description,
    options: nameOption,
    ends: true,
    positionals: { usage: '<cluster>/<namespace>/<pod>', min: 1, max: 1 },
    async run(context, { options, positionals: [pod] }): Promise<ExitCode> {
      const done = (await callLab(options.name, {
        method: 'POST',
        route: `/v1/pods/${action}`,
        body: { pod },
        signal: context.signal,
      })) as { pod: string; state: string };
      context.stdout(`${done.pod}: ${done.state}\n`);
      return 0;
    },
  });
}
