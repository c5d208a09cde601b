import { describe, expect, test } from '@jest/globals';
import {
  closest,
  defineOptions,
  environmentName,
  formatHostPort,
  optionHelp,
  parseDuration,
  parseHostPort,
  parseOptions,
  UsageError,
} from '../../../runtime/options/index.ts';

const options = defineOptions({
  'data-dir': { type: 'string', required: true, placeholder: 'DIR', help: 'Where the data is' },
  'lease-ttl': { type: 'duration', default: '15m', help: 'How long a lease lives' },
  'cluster-id': { type: 'number', min: 1, max: 255, help: 'Id of the cluster' },
  listen: { type: 'address', default: '127.0.0.1:2379', help: 'Where to listen' },
  peers: { type: 'list', help: 'Names of peers' },
  insecure: { type: 'boolean', help: 'Allow it' },
  output: { type: 'choice', choices: ['table', 'json'], default: 'table', short: 'o', help: 'Format' },
});

const parse = (argv: readonly string[], env: Record<string, string> = {}) =>
  parseOptions(options, { argv: ['--data-dir', 'd', ...argv], env });

/** The error of a refused command line. */
function refused(argv: readonly string[], env: Record<string, string> = {}): UsageError {
  try {
    parseOptions(options, { argv, env });
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

describe('parsing options', () => {
  test('gives every option its type, defaults where nothing was said', () => {
    const { values } = parse([]);
    const ttl: number = values.leaseTtlMs;
    const id: number | undefined = values.clusterId;
    const output: 'table' | 'json' = values.output;
    expect({ ...values, ttl, id, output }).toEqual({
      dataDir: 'd',
      leaseTtlMs: 900_000,
      clusterId: undefined,
      listen: { host: '127.0.0.1', port: 2379 },
      peers: [],
      insecure: false,
      output: 'table',
      ttl: 900_000,
      id: undefined,
    });
  });

  test.each([
    { typed: ['--lease-ttl', '1m30s'], name: 'leaseTtlMs', value: 90_000 },
    { typed: ['--lease-ttl=0'], name: 'leaseTtlMs', value: 0 },
    { typed: ['--cluster-id', '7'], name: 'clusterId', value: 7 },
    { typed: ['--listen', '[::1]:0'], name: 'listen', value: { host: '::1', port: 0 } },
    { typed: ['--peers', 'a,b', '--peers=c'], name: 'peers', value: ['a', 'b', 'c'] },
    { typed: ['--insecure'], name: 'insecure', value: true },
    { typed: ['--insecure', '--no-insecure'], name: 'insecure', value: false },
    { typed: ['--insecure=false'], name: 'insecure', value: false },
    { typed: ['-o', 'json'], name: 'output', value: 'json' },
    { typed: ['-ojson'], name: 'output', value: 'json' },
    { typed: ['-o=json'], name: 'output', value: 'json' },
    { typed: ['--data-dir='], name: 'dataDir', value: '' },
    { typed: ['--data-dir', '-'], name: 'dataDir', value: '-' },
  ])('reads $typed', ({ typed, name, value }) => {
    expect(parse(typed).values).toMatchObject({ [name]: value });
  });

  test('keeps what is no option in order, and leaves everything behind -- alone', () => {
    const { positionals, rest } = parse(['one', '--insecure', 'two', '--', '--help', '-o', 'x']);
    expect({ positionals, rest }).toEqual({ positionals: ['one', 'two'], rest: ['--help', '-o', 'x'] });
  });

  test('takes the environment where the command line says nothing, and the command line first', () => {
    expect(environmentName('cluster-id')).toBe('ISTHMUS_CLUSTER_ID');
    const env = { ISTHMUS_CLUSTER_ID: '3', ISTHMUS_INSECURE: 'true', ISTHMUS_PEERS: 'x,y', ISTHMUS_OUTPUT: '' };
    expect(parse([], env).values).toMatchObject({ clusterId: 3, insecure: true, peers: ['x', 'y'], output: 'table' });
    expect(parse(['--cluster-id', '4', '--no-insecure'], env).values).toMatchObject({ clusterId: 4, insecure: false });
  });

  test.each([
    { argv: [], message: '--data-dir is required: Where the data is' },
    { argv: ['--data-dir', ''], message: '--data-dir is required: Where the data is' },
    { argv: ['--data-dir='], message: '--data-dir is required: Where the data is' },
    { argv: ['--data-dir'], message: '--data-dir expects a text' },
    { argv: ['--data-dir', '--insecure'], message: '--data-dir expects a text' },
    {
      argv: ['--data-dir', 'd', '--cluster-id', '256'],
      message: '--cluster-id expects a whole number from 1 to 255, not "256"',
    },
    {
      argv: ['--data-dir', 'd', '--cluster-id', '1.5'],
      message: '--cluster-id expects a whole number from 1 to 255, not "1.5"',
    },
    {
      argv: ['--data-dir', 'd', '--lease-ttl', '5 minutes'],
      message: '--lease-ttl expects a duration such as 500ms, 30s, 15m or 1h30m, not "5 minutes"',
    },
    {
      argv: ['--data-dir', 'd', '--listen', '2379'],
      message: '--listen expects an address with port such as 127.0.0.1:2379 or [::1]:2379, not "2379"',
    },
    {
      argv: ['--data-dir', 'd', '-o', 'http://root:s3cret@h:1'],
      message: '--output expects one of table, json, not "http://…"',
    },
    { argv: ['--data-dir', 'd', '-o', 'yaml'], message: '--output expects one of table, json, not "yaml"' },
    { argv: ['--data-dir', 'd', '--insecure=maybe'], message: '--insecure expects true or false, not "maybe"' },
    { argv: ['--data-dir', 'd', '-x'], message: 'Unknown option -x' },
    { argv: ['--data-dir', 'd', '--constructor'], message: 'Unknown option --constructor' },
  ])('refuses $argv and says what was expected', ({ argv, message }) => {
    expect(refused(argv).message).toBe(message);
  });

  test('names the environment variable when that is where the bad value came from', () => {
    expect(refused(['--data-dir', 'd'], { ISTHMUS_CLUSTER_ID: 'x' }).message).toBe(
      'ISTHMUS_CLUSTER_ID expects a whole number from 1 to 255, not "x"',
    );
  });

  test('names the closest option of a mistyped one', () => {
    expect(refused(['--data-dri', 'd'])).toMatchObject({ option: '--data-dri', hint: 'did you mean --data-dir?' });
  });
});

describe('help of options', () => {
  test('shows flags, defaults and environment names', () => {
    expect(optionHelp(options).map(({ flags, text }) => `${flags} | ${text}`)).toEqual([
      '--data-dir DIR | Where the data is [required; ISTHMUS_DATA_DIR]',
      '--lease-ttl DURATION | How long a lease lives [default 15m; ISTHMUS_LEASE_TTL]',
      '--cluster-id N | Id of the cluster [ISTHMUS_CLUSTER_ID]',
      '--listen ADDR:PORT | Where to listen [default 127.0.0.1:2379; ISTHMUS_LISTEN]',
      '--peers A,B | Names of peers [ISTHMUS_PEERS]',
      '--insecure | Allow it [ISTHMUS_INSECURE]',
      '-o, --output table|json | Format [default table; ISTHMUS_OUTPUT]',
    ]);
  });
});

describe('values of options', () => {
  test.each([
    ['500ms', 500],
    ['1.5s', 1500],
    ['1h30m', 5_400_000],
    ['0', 0],
  ])('reads the duration %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(['', '5', 's', '-5s', '5s ', '1d'])('refuses the duration %j', (text) => {
    expect(() => parseDuration(text)).toThrow(RangeError);
  });

  test.each(['127.0.0.1:2379', '[fd00::1]:80', 'store.example:0'])('reads and writes the address %s', (text) => {
    expect(formatHostPort(parseHostPort(text))).toBe(text);
  });

  test.each(['', ':80', '127.0.0.1', '::1:80', '127.0.0.1:65536', 'a b:1'])('refuses the address %j', (text) => {
    expect(() => parseHostPort(text)).toThrow(RangeError);
  });

  test.each([
    ['gte', 'get'],
    ['stat', 'status'],
    ['xyz', undefined],
  ])('takes %s for %s', (word, meant) => {
    expect(closest(word, ['get', 'status', 'lab'])).toBe(meant);
  });
});
