import { describe, expect, test } from '@jest/globals';
import {
  type CommandContext,
  type CommandEntry,
  type CommandGroup,
  NobodyReads,
  defineCommand,
} from '../../../cli/command.ts';
import { runCommandLine } from '../../../cli/run.ts';
import { tree as wholeTree } from '../../../cli/tree.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { UsageError, defineOptions } from '../../../runtime/options/index.ts';

const copy = defineCommand({
  description: 'Copies one thing.',
  options: defineOptions({ times: { type: 'number', default: 1, min: 1, help: 'How often' } }),
  positionals: { usage: 'FROM TO', min: 2, max: 2 },
  rest: '[-- ARG…]',
  examples: ['isthmus box copy a b'],
  run: async (context, { options, positionals, rest }) => {
    if (positionals[0] === 'fail') throw new Error('Disk is full');
    if (positionals[0] === 'impossible') throw new UsageError('--times is odd', { hint: 'give an even one' });
    if (positionals[0] === 'wait')
      await new Promise((_, reject) =>
        context.signal.addEventListener('abort', () => reject(new DOMException('', 'AbortError'))),
      );
    context.stdout(JSON.stringify({ ...options, positionals, rest }));
    return positionals[0] === 'no' ? 1 : 0;
  },
});

let loads = 0;
const tree: CommandGroup = {
  summary: 'A program',
  commands: {
    box: {
      summary: 'Boxes',
      commands: {
        copy: {
          summary: 'Copy a box',
          load: async () => {
            loads++;
            return copy;
          },
        },
        look: { summary: 'Look into a box', load: async () => ({ ...copy, ends: true }) },
      },
    },
  },
};

async function run(line: string, env: Record<string, string> = {}, controller = new AbortController()) {
  let stdout = '';
  let stderr = '';
  const context: CommandContext = {
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
    env,
    clock: new VirtualClock(),
    signal: controller.signal,
    terminal: undefined,
  };
  const argv = line === '' ? [] : line.split(' ');
  return { code: await runCommandLine(tree, argv, '1.2.3', context), stdout, stderr };
}

describe('the command line', () => {
  test('hands a command its options, arguments and what follows --', async () => {
    expect(await run('box copy a --times 3 b -- --x')).toEqual({
      code: 0,
      stdout: '{"times":3,"positionals":["a","b"],"rest":["--x"]}',
      stderr: '',
    });
  });

  test('gives back the exit code of the command', async () => {
    expect((await run('box copy no b')).code).toBe(1);
  });

  test.each([
    { line: 'bxo', says: 'isthmus has no command "bxo"', hint: 'did you mean isthmus box?' },
    { line: 'box cpy', says: 'isthmus box has no command "cpy"', hint: 'did you mean isthmus box copy?' },
    { line: 'zzzzzz', says: 'isthmus has no command "zzzzzz"', hint: 'isthmus --help lists the commands' },
    { line: 'box copy a b --tmies 2', says: 'Unknown option --tmies', hint: 'did you mean --times?' },
    {
      line: 'box copy a b --times 0',
      says: '--times expects a whole number, at least 1, not "0"',
      hint: 'isthmus box copy --help says more',
    },
    {
      line: 'box copy a',
      says: 'isthmus box copy needs FROM TO',
      hint: 'usage: isthmus box copy FROM TO [options] [-- ARG…]',
    },
    {
      line: 'box copy a b c',
      says: 'Unexpected argument "c"',
      hint: 'usage: isthmus box copy FROM TO [options] [-- ARG…]',
    },
    {
      line: 'box copy a b http://root:s3cret@h:1',
      says: 'Unexpected argument "http://…"',
      hint: 'usage: isthmus box copy FROM TO [options] [-- ARG…]',
    },
    { line: 'box copy impossible b', says: '--times is odd', hint: 'give an even one' },
    { line: 'bogus --help', says: 'isthmus has no command "bogus"', hint: 'isthmus --help lists the commands' },
    { line: 'box cpy -h', says: 'isthmus box has no command "cpy"', hint: 'did you mean isthmus box copy?' },
    { line: '--frob', says: 'Unknown option --frob', hint: 'isthmus --help' },
  ])('answers "$line" with exit code 2 and what was probably meant', async ({ line, says, hint }) => {
    expect(await run(line)).toEqual({ code: 2, stdout: '', stderr: `isthmus: ${says}\n  ${hint}\n` });
  });

  test('prints what went wrong in one line, without a stack, and exits 1', async () => {
    expect(await run('box copy fail b')).toEqual({ code: 1, stdout: '', stderr: 'isthmus: Disk is full\n' });
    expect((await run('box copy fail b', { ISTHMUS_TRACE: '1' })).stderr).toContain('    at ');
  });

  test('takes a stop that was asked for as a good end', async () => {
    const controller = new AbortController();
    const running = run('box copy wait b', {}, controller);
    setImmediate(() => controller.abort());
    expect(await running).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('what ends by itself has not done what it was asked for when it is interrupted, but when nobody reads on', async () => {
    for (const [reason, result] of [
      [
        new DOMException('Stopped by SIGINT', 'AbortError'),
        { code: 1, stderr: 'isthmus: Interrupted before the end\n' },
      ],
      [new NobodyReads(), { code: 0, stderr: '' }],
    ] as const) {
      const controller = new AbortController();
      const running = run('box look wait b', {}, controller);
      setImmediate(() => controller.abort(reason));
      expect(await running).toEqual({ stdout: '', ...result });
    }
  });

  test('only commands that run until they are stopped take a stop for a good end', async () => {
    const endless: string[] = [];
    const visit = async (path: string, { commands }: CommandGroup): Promise<void> => {
      for (const [name, entry] of Object.entries(commands))
        if ('commands' in entry) await visit(`${path}${name} `, entry);
        else {
          const { ends, endsWith } = await entry.load();
          if (ends !== true && !endsWith) endless.push(path + name);
        }
    };
    await visit('', wholeTree);
    expect(endless).toEqual(['agent', 'apiserver', 'kvstoremesh', 'store serve', 'store watch', 'mock']);
    const labRun = (wholeTree.commands['lab'] as CommandGroup).commands['run'] as CommandEntry;
    const { endsWith } = await labRun.load();
    expect([true, false].map((once) => endsWith?.({ once }))).toEqual([true, false]);
  });

  test('reads options from the environment', async () => {
    expect((await run('box copy a b', { ISTHMUS_TIMES: '5' })).stdout).toContain('"times":5');
  });

  test('prints the version', async () => {
    expect(await run('--version')).toEqual({ code: 0, stdout: 'isthmus 1.2.3\n', stderr: '' });
  });

  test('shows help on every level, without loading what it only lists', async () => {
    loads = 0;
    const top = await run('--help');
    expect(top).toMatchObject({ code: 0, stderr: '' });
    expect(top.stdout).toContain('Commands:\n  box  Boxes\n');
    expect((await run('box -h')).stdout).toContain('Usage: isthmus box COMMAND\n\nCommands:\n  copy  Copy a box\n');
    expect(loads).toBe(0);
    expect((await run('box copy --help')).stdout).toBe(`Copy a box

Usage: isthmus box copy FROM TO [options] [-- ARG…]

Copies one thing.

Options:
  --times N   How often [default 1; ISTHMUS_TIMES]
  -h, --help  Show this page

Examples:
  isthmus box copy a b
`);
  });

  test('without a command shows help as an error', async () => {
    const { code, stdout, stderr } = await run('box');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Usage: isthmus box COMMAND');
  });
});
