import { describe, expect, test } from '@jest/globals';
import { parseEndpoint } from '../../../../kvstore/etcd/session/index.ts';
import { StoreAddressError, formatStoreAddress, parseStoreAddress, storeAddressOf } from '../../../../kvstore/index.ts';

function errorOf(run: () => unknown): StoreAddressError {
  try {
    run();
  } catch (error) {
    if (error instanceof StoreAddressError) return error;
    throw error;
  }
  throw new Error('Nothing was thrown');
}

describe('the address of a store', () => {
  test.each([
    { text: 'http://127.0.0.1:2379', address: { kind: 'etcd', endpoint: 'http://127.0.0.1:2379' } },
    { text: 'https://store.example', address: { kind: 'etcd', endpoint: 'https://store.example:2379' } },
    { text: 'etcd:/etc/isthmus/etcd.yaml', address: { kind: 'etcd', configFile: '/etc/isthmus/etcd.yaml' } },
    { text: 'consul:consul.yaml', address: { kind: 'consul', configFile: 'consul.yaml' } },
    { text: 'embedded:./data:1', address: { kind: 'embedded', directory: './data:1' } },
  ])('$text is read, and written the same way', ({ text, address }) => {
    const parsed = parseStoreAddress(text);
    expect(parsed).toEqual(address);
    expect(parseStoreAddress(formatStoreAddress(parsed))).toEqual(parsed);
  });

  test.each([
    '',
    'foo',
    '127.0.0.1:2379',
    'zookeeper:x',
    'etcd:',
    'consul:',
    'embedded:',
    'http://host:1/path',
    'http://',
  ])('%j names no store, and the error says what does', (text) => {
    expect(errorOf(() => parseStoreAddress(text)).hint).toMatch(/expected .*(FILE|DIR)/);
  });

  test.each([
    'http://root:s3cret@host:2379',
    'https://s3cret@host',
    'etcd://root:s3cret@host',
    'root:s3cret@host:2379',
    'etcd:https://root:s3cret@host:2379',
    'consul:http://root:s3cret@host:8500',
    'http://root%3As3cret%40host:2379',
    'root%3As3cret%40host',
    'etcd:https://root%3As3cret%40host',
  ])('a secret in %j is refused without being repeated', (text) => {
    const error = errorOf(() => parseStoreAddress(text));
    expect(error.message).toMatch(/credentials/);
    expect(error.message + error.hint).not.toMatch(/s3cret/);
  });

  test.each([
    'http://host:2379?token=s3cret',
    'http://host:2379/?password=s3cret',
    'https://host:2379/s3cret',
    'http://host:2379#s3cret',
    'http://host:port/?token=s3cret',
    'host:2379?token=s3cret',
  ])('what lies behind the host in %j is refused without being repeated', (text) => {
    const error = errorOf(() => parseStoreAddress(text));
    expect(error.message + error.hint).not.toMatch(/s3cret/);
    if (!text.startsWith('host')) expect(() => parseEndpoint(text, false)).toThrow(/host:/);
  });

  test.each(['http://root:s3cret@host:2379', '//root:s3cret@host', 'http://host:2379?token=s3cret'])(
    'a URL %j in the place of a data directory is refused without being repeated',
    (dataDirectory) => {
      for (const read of [
        () => parseStoreAddress(`embedded:${dataDirectory}`),
        () => storeAddressOf({ kind: 'embedded', configFile: undefined, dataDirectory }),
      ]) {
        const error = errorOf(read);
        expect(error.message + error.hint).not.toMatch(/s3cret/);
      }
    },
  );

  test('a data directory may begin with two slashes', () => {
    expect(parseStoreAddress('embedded://srv/store')).toEqual({ kind: 'embedded', directory: '//srv/store' });
  });

  test.each(['http://host:8500?token=s3cret', '//host:8500/s3cret', 'https://s3cret@host'])(
    'a URL %j in the place of a configuration file is refused without being repeated',
    (configFile) => {
      for (const kind of ['etcd', 'consul'] as const)
        for (const read of [
          () => parseStoreAddress(`${kind}:${configFile}`),
          () => storeAddressOf({ kind, configFile, dataDirectory: undefined }),
        ]) {
          const error = errorOf(read);
          expect(error.hint).toMatch(/configuration file|into a file/);
          expect(error.message + error.hint).not.toMatch(/s3cret/);
        }
    },
  );

  test.each([
    { options: { kind: 'embedded', dataDirectory: '/d' }, address: { kind: 'embedded', directory: '/d' } },
    { options: { kind: 'etcd', configFile: '/c' }, address: { kind: 'etcd', configFile: '/c' } },
    { options: { kind: 'consul', configFile: '/c' }, address: { kind: 'consul', configFile: '/c' } },
  ] as const)('options of a process name $address', ({ options, address }) => {
    expect(storeAddressOf({ configFile: undefined, dataDirectory: undefined, ...options })).toEqual(address);
  });

  test.each([
    { kind: 'embedded', names: '--data-dir' },
    { kind: 'etcd', names: '--store-config' },
    { kind: 'consul', names: '--store-config' },
  ] as const)('$kind without $names is refused', ({ kind, names }) => {
    expect(errorOf(() => storeAddressOf({ kind, configFile: undefined, dataDirectory: undefined })).message).toContain(
      names,
    );
  });
});
