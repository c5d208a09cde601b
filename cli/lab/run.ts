import {
  type Lab,
  type LabReport,
  checkLab,
  isHealthy,
  kernelLinesOf,
  reportText,
  runLiveScreen,
  withLab,
} from '../../lab/index.ts';
import { defineOptions } from '../../runtime/options/index.ts';
import { type CommandContext, type ExitCode, defineCommand } from '../command.ts';
import { formatJson, outputOptions } from '../output/index.ts';
import { asUsage, labOptions, runLabOptions } from './lab-options.ts';

const options = defineOptions({
  ...labOptions,
  ...outputOptions,
  once: { type: 'boolean', help: 'Up, check everything, report, down; no live screen' },
});

/** `isthmus lab run`: the lab in the foreground. */
export const run = defineCommand({
  description: 'Brings the lab up, shows it on a live screen until Ctrl-C, and removes everything it made.',
  options,
  examples: ['isthmus lab run', 'isthmus lab run --once -o json', 'isthmus lab run --kernel memory --once'],
  endsWith: ({ once }) => once,
  async run(context, { options: values }): Promise<ExitCode> {
    const settings = runLabOptions(values, context);
    if (process.send) return runInBackground(settings, context);
    if (!values.once && context.terminal && values.output === 'table') {
      await asUsage(() =>
        withLab(settings, context.signal, (lab, signal) => runLiveScreen(lab, process.stdout, signal)),
      );
      return 0;
    }
    const { result, downMs } = await asUsage(() =>
      withLab(settings, context.signal, async (lab, signal) => ({
        report: await checkLab(lab, signal),
        kernel: await kernelText(lab),
      })),
    );
    const report: LabReport = { ...result.report, timings: { ...result.report.timings, downMs: Math.round(downMs) } };
    context.stdout(values.output === 'json' ? formatJson(report) : `${result.kernel}${reportText(report)}`);
    return isHealthy(report) ? 0 : 1;
  },
});

/** Runs until it is asked to end; tells the starting process over IPC how far it is, and on standard error what went wrong. */
async function runInBackground(settings: Parameters<typeof withLab>[0], context: CommandContext): Promise<ExitCode> {
  const tell = (message: unknown): void => {
    if (process.connected) process.send?.(message);
  };
  // Once the mesh is up nobody reads it any more; what is logged then is lost, and no reason to end.
  process.stderr.on('error', () => {});
  await asUsage(() =>
    withLab({ ...settings, onProgress: (line) => tell({ progress: line }) }, context.signal, async (_, signal) => {
      tell({ ready: true });
      if (process.connected) process.disconnect();
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }),
  );
  return 0;
}

async function kernelText(lab: Lab): Promise<string> {
  return lab.substrate.sendsPackets ? '' : `${(await kernelLinesOf(lab)).join('\n')}\n\n`;
}
