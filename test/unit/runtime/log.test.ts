import { stat } from 'node:fs/promises';
import { describe, expect, test } from '@jest/globals';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { type LogFormat, type LogLevel, type Logger, createLogger, redact } from '../../../runtime/log/index.ts';

function logger(format: LogFormat, level: LogLevel = 'debug'): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const clock = new VirtualClock(Date.UTC(2026, 0, 1));
  return { log: createLogger({ format, level, clock, write: (line) => void lines.push(line) }), lines };
}

describe('the logger', () => {
  test('writes a text line with time, level, message and fields', () => {
    const { log, lines } = logger('text');
    log.child({ component: 'store' }).info('Connected', { endpoint: '127.0.0.1:2379', attempt: 2, absent: undefined });
    expect(lines).toEqual([
      '2026-01-01T00:00:00.000Z INFO  Connected component=store endpoint=127.0.0.1:2379 attempt=2\n',
    ]);
  });

  test('writes one JSON object a line', () => {
    const { log, lines } = logger('json');
    log.warn('Slow', { delayMs: 5, id: 2n ** 60n, list: [1, { id: 3n }] });
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      {
        time: '2026-01-01T00:00:00.000Z',
        level: 'warn',
        msg: 'Slow',
        delayMs: 5,
        id: '1152921504606846976',
        list: [1, { id: '3' }],
      },
    ]);
  });

  test('leaves out what is below its level', () => {
    const { log, lines } = logger('text', 'warn');
    log.debug('Not this');
    log.info('Nor this');
    log.error('This');
    expect(lines).toHaveLength(1);
  });

  test('prints an error with its code and its causes', async () => {
    const { log, lines } = logger('text');
    const cause = await stat('/nowhere/at/all').catch((error: unknown) => error);
    log.error('Failed', { error: new Error('Cannot read the folder', { cause }) });
    log.error('Failed', { error: Object.assign(new Error('Refused'), { code: 'EPERM' }) });
    expect(lines.join('')).toContain(
      `error="Cannot read the folder: ENOENT: no such file or directory, stat '/nowhere/at/all'"`,
    );
    expect(lines.join('')).toContain('error="Refused (EPERM)"');
  });

  test('says once what an outer error quotes of its cause, with both codes', () => {
    const { log, lines } = logger('text');
    const root = Object.assign(new Error('alert 48'), { code: 'ERR_SSL' });
    const cause = Object.assign(new Error('it is not trusted', { cause: root }), { code: 'TLS_PEER' });
    const error = Object.assign(new Error('Cannot connect: it is not trusted', { cause }), { code: 'UNAVAILABLE' });
    log.error('Failed', { error });
    expect(lines[0]).toContain('error="Cannot connect: it is not trusted (UNAVAILABLE, TLS_PEER): alert 48 (ERR_SSL)"');
  });

  test('quotes whatever could break a line or a terminal', () => {
    const { log, lines } = logger('text');
    log.info('Label', { a: 'x\ny', b: '', c: 'k=v', d: '\u001b[31m', e: 'plain-1.2/3' });
    expect(lines[0]).toBe(
      '2026-01-01T00:00:00.000Z INFO  Label a="x\\ny" b="" c="k=v" d="\\u001b[31m" e=plain-1.2/3\n',
    );
  });

  test('never throws because of what it is given', () => {
    const { log, lines } = logger('json');
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    log.info('Odd', { circle, call: () => 1, map: new Map([['a', 1n]]), set: new Set([1]), nothing: null });
    const written = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
    expect(written).toMatchObject({ map: { a: '1' }, set: [1], nothing: null });
    expect(written['circle']).toContain('not printable');
  });
});

describe('secrets', () => {
  test.each([
    ['password', 'hunter2', '[redacted]'],
    ['clientToken', 'abc', '[redacted]'],
    ['endpoint', 'https://root:hunter2@10.0.0.1:2379', 'https://[redacted]@10.0.0.1:2379'],
    ['file', 'x -----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY----- y', 'x [redacted private key] y'],
    ['key', 'cilium/state/nodes/v1/east/n1', 'cilium/state/nodes/v1/east/n1'],
  ])('are taken out of the field %s', (name, value, shown) => {
    expect(redact(name, value)).toBe(shown);
  });

  test('are taken out of nested values and of errors too', () => {
    const { log, lines } = logger('json');
    log.info('Config', {
      config: { username: 'root', password: 'hunter2' },
      error: new Error('Cannot reach http://root:hunter2@east'),
    });
    expect(lines[0]).not.toContain('hunter2');
    expect(lines[0]).toContain('"username":"root"');
  });
});
