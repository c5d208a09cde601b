import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { StoreAddressError, openStore } from '../../../../kvstore/index.ts';
import { systemClock as clock } from '../../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../../runtime/log/index.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-open-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('an embedded store that somebody wants to read', () => {
  test.each(['missing', 'empty'])('is not made where its directory is %s', async (what) => {
    const directory = join(folder, 'data');
    if (what === 'empty') await mkdir(directory);
    await expect(openStore({ kind: 'embedded', directory }, { clock, log })).rejects.toThrow(
      new StoreAddressError(`There is no store in ${directory}`, ''),
    );
    expect(await readdir(folder)).toEqual(what === 'empty' ? ['data'] : []);
    if (what === 'empty') expect(await readdir(directory)).toEqual([]);
  });

  test('is named as what cannot be looked into where it is no directory', async () => {
    const directory = join(folder, 'data');
    await writeFile(directory, '');
    await expect(openStore({ kind: 'embedded', directory }, { clock, log })).rejects.toThrow(StoreAddressError);
  });
});

test.each([
  { kind: 'etcd', text: 'endpoints: ["https://127.0.0.1:1"]\n' },
  { kind: 'consul', text: 'addresses: ["https://127.0.0.1:1"]\n' },
] as const)(
  'An $kind whose certificate is not verified is warned of once, by file and field',
  async ({ kind, text }) => {
    const said: unknown[] = [];
    const noting = { ...log, warn: (message: string, also: unknown) => void said.push([message, also]) };
    const configFile = join(folder, 'store.yaml');
    const open = async (content: string): Promise<void> => {
      await writeFile(configFile, content);
      await using _opened = await openStore({ kind, configFile }, { clock, log: noting });
    };
    await open(text);
    expect(said).toEqual([]);
    await open(`${text}insecure-skip-tls-verify: true\n`);
    expect(said).toEqual([
      [
        expect.stringContaining('The certificate of the store is not verified'),
        expect.objectContaining({ file: configFile, field: 'insecure-skip-tls-verify' }),
      ],
    ]);
  },
);
