import { cleanDead, isLive, readLabState } from '../../lab/index.ts';
import { UsageError } from '../../runtime/options/index.ts';
import { type ExitCode, defineCommand } from '../command.ts';
import { requireLabName } from './call-lab.ts';
import { asUsage, nameOption } from './lab-options.ts';

const waitMs = 20_000;

/** `isthmus lab down`: ends a lab, however it was started; cleans what a dead one left. */
export const down = defineCommand({
  description: 'Ends a lab and removes everything it made. A lab that died is cleaned up.',
  options: nameOption,
  ends: true,
  async run(context, { options: { name } }): Promise<ExitCode> {
    requireLabName(name);
    const state = readLabState(name);
    if (!state) throw new UsageError(`There is no lab ${name}`);
    if (isLive(state)) {
      process.kill(state.supervisor.pid, 'SIGTERM');
      for (let waited = 0; isLive(state); waited += 50) {
        if (waited > waitMs) throw new Error(`Lab ${name} (process ${state.supervisor.pid}) does not end`);
        await context.clock.sleep(50, context.signal);
      }
    }
    const left = readLabState(name);
    // Another lab may have the name by now: it was not asked to end.
    if (left && !isLive(left)) await asUsage(() => cleanDead(name));
    context.stdout(`Lab ${name} is down\n`);
    return 0;
  },
});
