import { describe, expect, test } from '@jest/globals';
import type { CommandContext } from '../../../cli/command.ts';
import { ownStoreAddress } from '../../../cli/own-store.ts';
import { bytesFrom } from '../../../cli/store/key-argument.ts';
import { addressFrom } from '../../../cli/store/named-store.ts';
import { widest } from '../../../cli/store/check.ts';
import { ProgressLine, progressBar } from '../../../cli/store/progress-line.ts';
import { shownLines } from '../../../cli/output/index.ts';
import { jsonBytes, jsonEntry, shownBytes } from '../../../cli/store/shown.ts';
import { formatBytes } from '../../../cli/store/status.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { UsageError } from '../../../runtime/options/index.ts';

describe('the store that a tool works on', () => {
  const none = { storeConfig: undefined, dataDir: undefined };

  test.each([
    { values: { ...none, store: 'http://h:1' }, address: { kind: 'etcd', endpoint: 'http://h:1' } },
    { values: { ...none, store: 'etcd:/f' }, address: { kind: 'etcd', configFile: '/f' } },
    { values: { ...none, store: 'etcd', storeConfig: '/f' }, address: { kind: 'etcd', configFile: '/f' } },
    { values: { ...none, store: 'consul', storeConfig: '/f' }, address: { kind: 'consul', configFile: '/f' } },
    { values: { ...none, store: 'embedded', dataDir: '/d' }, address: { kind: 'embedded', directory: '/d' } },
  ])('is $address for $values', ({ values, address }) => {
    expect(addressFrom(values)).toEqual(address);
  });

  test.each(['etcd', 'consul', 'embedded', 'nonsense', 'http://u:p@h:1'])(
    'is a mistake of the caller as %s',
    (store) => {
      expect(() => addressFrom({ ...none, store })).toThrow(UsageError);
    },
  );
});

describe('the store of an apiserver', () => {
  test('takes no configuration when it is its own', () => {
    const options = { store: 'embedded', storeConfig: '/f', dataDir: '/d' } as const;
    expect(() => ownStoreAddress(options)).toThrow(/--store-config says nothing about --store embedded/);
  });

  test.each([
    { store: 'embedded', says: /--data-dir is required/ },
    { store: 'etcd', says: /--store-config is required/ },
    { store: 'consul', says: /--store-config is required/ },
  ] as const)('$store needs to be found', ({ store, says }) => {
    expect(() => ownStoreAddress({ store, storeConfig: undefined, dataDir: undefined })).toThrow(says);
  });

  test('in memory needs nothing', () => {
    expect(ownStoreAddress({ store: 'memory', storeConfig: undefined, dataDir: undefined })).toBe('memory');
  });
});

describe('a key or prefix', () => {
  test.each([
    { argument: 'héé', base64: false, bytes: [0x68, 0xc3, 0xa9, 0xc3, 0xa9] },
    { argument: 'Ymlu//4B', base64: true, bytes: [0x62, 0x69, 0x6e, 0xff, 0xfe, 0x01] },
    { argument: '77+9', base64: true, bytes: [0xef, 0xbf, 0xbd] },
    { argument: '', base64: true, bytes: [] },
  ])('$argument is $bytes (base64: $base64)', ({ argument, base64, bytes }) => {
    expect([...bytesFrom(argument, { base64 })]).toEqual(bytes);
  });

  test('of bytes that are no text, which no argument brings, is refused and not taken for another one', () => {
    expect(() => bytesFrom('bin\ufffd', { base64: false })).toThrow(UsageError);
  });

  test.each(['Ymlu//4', 'a b', 'é', '_-8='])('%s is no base64', (argument) => {
    expect(() => bytesFrom(argument, { base64: true })).toThrow(/Not base64/);
  });
});

describe('what is shown', () => {
  test.each([
    { bytes: 'cilium/state/ip/v1/default/10.1.2.3', text: 'cilium/state/ip/v1/default/10.1.2.3' },
    { bytes: 'grüße \u{1F600}', text: 'grüße \u{1F600}' },
    { bytes: 'a\nb\u001B[31m\\', text: String.raw`a\x0ab\x1b[31m\\` },
    { bytes: 'a\u202Eb\u2028\u009Bc', text: String.raw`a\u{202e}b\u{2028}\x9bc` },
    { bytes: new Uint8Array([0x61, 0xff, 0x5c, 0]), text: String.raw`a\xff\x5c\x00` },
  ])('$text', ({ bytes, text }) => {
    expect(shownBytes(typeof bytes === 'string' ? Buffer.from(bytes) : bytes)).toBe(text);
  });

  test('a value on a terminal keeps its lines, and does nothing to it', () => {
    expect(shownLines('{\n\t"a": "grüße\\n"\r\u001B[2J\u202E}\n')).toBe(
      '{\n\t"a": "grüße\\n"\\x0d\\x1b[2J\\u{202e}}\n',
    );
  });

  test('a program gets the very bytes, and leases in hex', () => {
    expect(jsonBytes('key', new Uint8Array([0xff]))).toEqual({ keyBase64: '/w==' });
    const entry = { key: Buffer.from('k'), value: Buffer.from('\uFEFFv') };
    const numbers = { createRevision: 1, modRevision: 2, version: 3, lease: 255n };
    expect(jsonEntry({ ...entry, ...numbers }, true)).toEqual({ ...numbers, key: 'k', value: '\uFEFFv', lease: 'ff' });
  });

  test.each([
    { bytes: 0, text: '0 B' },
    { bytes: 1023, text: '1023 B' },
    { bytes: 1536, text: '1.5 KiB' },
    { bytes: 2 * 1024 ** 3, text: '2.0 GiB' },
  ])('$bytes bytes as $text', ({ bytes, text }) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe('the progress line', () => {
  function lineOn(terminal: CommandContext['terminal']): { readonly line: ProgressLine; readonly said: () => string } {
    let said = '';
    const clock = new VirtualClock();
    const context: CommandContext = {
      stdout: () => undefined,
      stderr: (text) => (said += text),
      env: {},
      clock,
      signal: new AbortController().signal,
      terminal,
    };
    return { line: new ProgressLine(context), said: () => said };
  }

  test('says nothing where there is no terminal', () => {
    const { line, said } = lineOn(undefined);
    line.show('half');
    line.clear();
    expect(said()).toBe('');
  });

  test('is written over, never longer than the terminal, and goes when it is cleared', () => {
    const { line, said } = lineOn({ columns: 5, rows: 5 });
    line.show('half of it');
    line.show('too soon');
    line.clear();
    expect(said()).toBe('\r\u001B[Khalf\r\u001B[K');
  });

  test('never shows more than everything', () => {
    expect(progressBar(5, 10, 'keys')).toBe('[############------------]  50 %  5 of 10 keys');
    expect(progressBar(1234, 1000, 'keys')).toBe('[########################] 100 %  1,234 of 1,234 keys');
    expect(progressBar(0, 0, 'keys')).toContain('100 %');
    // Where nobody may count them.
    expect(progressBar(1234, undefined, 'keys')).toBe('1,234 keys');
  });
});

test('check compares each key once, whatever the prefixes overlap', () => {
  expect(widest([])).toEqual(['']);
  expect(widest(['b/', 'a/x', 'a/', 'a/', 'ab'])).toEqual(['a/', 'ab', 'b/']);
  expect(widest(['', 'a/'])).toEqual(['']);
});
