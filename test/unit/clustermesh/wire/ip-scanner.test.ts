import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { type IpRecord, IpScanner, decodeIp, encodeIp, suffixText } from '../../../../clustermesh/wire/index.ts';
import { formatIp } from '../../../../values/ip/index.ts';
import { Random } from '../../../../runtime/random/index.ts';

/** Real values of address keys, as Cilium wrote them. */
const samples = ['state', 'cache'].flatMap((name) =>
  readFileSync(new URL(`../../../fixtures/cilium/cilium-${name}-sample.jsonl`, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line.includes('/ip/v1/'))
    .map((line) => JSON.parse(line) as { readonly key: string; readonly value: string })
    .map(({ key, value }) => ({ suffix: key.slice(key.indexOf('/', key.indexOf('/v1/') + 4) + 1), value })),
);

/** What the scanner makes of a value: a record put together from its positions and numbers, or nothing. */
function scanned(suffix: string, value: string | Buffer, scanner = new IpScanner()): IpRecord | undefined {
  const key = Buffer.from(suffix);
  // Bytes around the value must not matter.
  const bytes = Buffer.concat([Buffer.from('"}x'), Buffer.from(value), Buffer.from('"},{"IP":"')]);
  const end = bytes.length - 10;
  if (!scanner.scan(key, 0, key.length, bytes, 3, end)) return undefined;
  const text = (from: number, to: number): string => bytes.subarray(from, to).toString();
  const number = scanner.metadataNumber === 0 ? '' : String(scanner.metadataNumber);
  const metadata = text(scanner.metadataStart, scanner.metadataEnd) + number;
  const rest =
    text(scanner.restStart, scanner.cutStart) + suffixText(scanner.suffix) + text(scanner.cutEnd, scanner.restEnd);
  const words = new Uint8Array(4);
  new DataView(words.buffer).setUint32(0, scanner.address);
  const ip = formatIp(scanner.wide ?? words);
  const head = `{"IP":"${ip}","HostIP":"${text(scanner.hostStart, scanner.hostEnd)}"`;
  const ids = `"ID":${scanner.identity},"Key":${scanner.encryptKey}`;
  return decodeIp(ip, `${head},${ids},"Metadata":"${metadata}"${rest}`);
}

function decoded(suffix: string, value: string | Buffer): IpRecord | undefined {
  try {
    return decodeIp(suffix, value);
  } catch {
    return undefined;
  }
}

describe('the scanner of address values', () => {
  test('knows every value that Cilium wrote for a host, and reads what JSON says', () => {
    expect(samples.length).toBeGreaterThan(20);
    for (const { suffix, value } of samples)
      expect([suffix, scanned(suffix, value)]).toEqual([suffix, decoded(suffix, value)]);
  });

  test('says nothing, or exactly what JSON says, of samples that were changed at random', () => {
    const random = new Random(11);
    const pieces = [
      '"',
      '\\',
      '\\u0041',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      ' ',
      '\n',
      '0',
      '-',
      '.',
      '1e3',
      'null',
      'é',
      '\u0000',
      '�',
    ];
    let known = 0;
    const used = new IpScanner();
    const sites = new Map<number, string>();
    for (let i = 0; i < 20_000; i++) {
      const { suffix, value } = samples[random.int(samples.length)] ?? { suffix: '', value: '' };
      let changed = value;
      for (let changes = random.int(3); changes >= 0; changes--) {
        const at = random.int(changed.length + 1);
        const cut = random.chance(0.5) ? random.int(4) : 0;
        const piece = random.chance(0.6) ? (pieces[random.int(pieces.length)] ?? '') : String(random.int(70_000));
        changed = changed.slice(0, at) + (random.chance(0.7) ? piece : '') + changed.slice(at + cut);
      }
      const found = scanned(suffix, changed);
      // One that has seen others before reads the same.
      expect([changed, scanned(suffix, changed, used)]).toEqual([changed, found]);
      if (found === undefined) continue;
      known += 1;
      const metadata = changed.slice(used.metadataStart - 3, used.metadataEnd - 3);
      const site = `${found.hostIp} ${found.encryptKey} ${metadata}`;
      expect(sites.get(used.site) ?? site).toBe(site);
      sites.set(used.site, site);
      expect([changed, found]).toEqual([changed, decoded(suffix, changed)]);
    }
    // Many came behind one of the same node.
    expect(sites.size).toBeLessThan(known - 20);
    // Changes within texts and numbers leave the form as it was.
    expect(known).toBeGreaterThan(500);
  });

  const suffix = '10.0.0.7';
  const good = '{"IP":"10.0.0.7","Mask":null,"HostIP":"10.9.0.1","ID":131073,"Key":0,"Metadata":"","K8sNamespace":"a"}';
  test.each([
    { what: 'escapes', value: good.replace('"a"', String.raw`"\u0061"`) },
    {
      what: 'another order of members',
      value: '{"Mask":null,"IP":"10.0.0.7","HostIP":"","ID":1,"Key":0,"Metadata":""}',
    },
    { what: 'white space', value: good.replace(',"ID"', ', "ID"') },
    { what: 'white space at the end', value: `${good}\n` },
    { what: 'a member twice', value: good.replace('}', ',"ID":7}') },
    { what: 'an unknown member', value: good.replace('}', ',"Later":{"IP":"x"}}') },
    { what: 'a number as a float', value: good.replace('131073', '131073.0') },
    { what: 'a number with an exponent', value: good.replace('131073', '1e3') },
    { what: 'a number with a leading zero', value: good.replace('131073', '0131073') },
    { what: 'an identity beyond 32 bits', value: good.replace('131073', '4294967296') },
    { what: 'a key beyond 8 bits', value: good.replace('"Key":0', '"Key":256') },
    { what: 'a negative number', value: good.replace('131073', '-1') },
    { what: 'members in lower case', value: good.replace('"ID"', '"id"') },
    { what: 'a mask', value: good.replace('null', '"/////w=="') },
    { what: 'an address not canonical', value: good.replace('10.9.0.1', '10.9.0.01') },
    { what: 'an IPv6 host not canonical', value: good.replace('10.9.0.1', 'FD00::1') },
    { what: 'a byte order mark', value: `\ufeff${good}` },
    { what: 'letters beyond ASCII', value: good.replace('"a"', '"ä"') },
    { what: 'an empty namespace', value: good.replace('"a"', '""') },
    {
      what: 'a port protocol in lower case',
      value: good.replace('}', ',"NamedPorts":[{"Name":"a","Port":1,"Protocol":"tcp"}]}'),
    },
    {
      what: 'a port out of range',
      value: good.replace('}', ',"NamedPorts":[{"Name":"a","Port":65536,"Protocol":"TCP"}]}'),
    },
    { what: 'no ports', value: good.replace('}', ',"NamedPorts":[]}') },
    { what: 'a cut value', value: good.slice(0, -1) },
    { what: 'nothing', value: '' },
    { what: 'null', value: 'null' },
    { what: 'another address than the key says', value: good.replace('0.7"', '0.8"') },
    { what: 'a longer address than the key says', value: good.replace('0.7"', '0.71"') },
  ])('leaves $what to JSON', ({ value }) => {
    expect(scanned(suffix, good)).toEqual(decoded(suffix, good));
    expect(scanned(suffix, value)).toBeUndefined();
  });

  test.each(['', '-', 'a-', 'web-0', 'web-00', 'web-0a', 'x-zzzzzz', 'x-zzzzzzz', 'x-aB', '-x', '--', 'a-b-c', 'abc'])(
    'puts the pod name %p together as it was',
    (podName) => {
      const record = { ...(decoded(suffix, good) as IpRecord), podName, metadata: 'cilium-global:default:n-1:65535' };
      expect(scanned(suffix, encodeIp(record))).toEqual(record);
    },
  );

  test.each(['', '0', '7', '65535', '65536', 'n:07', 'n:1', 'n:', '12345678901234567890', 'a1b2'])(
    'puts the metadata %p together as it was',
    (metadata) => {
      const record = { ...(decoded(suffix, good) as IpRecord), metadata };
      expect(scanned(suffix, encodeIp(record))).toEqual(record);
    },
  );

  test('knows IPv6 addresses in canonical text only', () => {
    const value = good.replace('10.0.0.7', 'fd00:10:244:1::d643').replace('10.9.0.1', 'fd00::1');
    expect(scanned('fd00:10:244:1::d643', value)).toEqual(decoded('fd00:10:244:1::d643', value));
    expect(scanned('fd00:10:244:1::d643', value)).toBeDefined();
    expect(scanned('fd00:10:244:1:0::d643', value.replace('1::', '1:0::'))).toBeUndefined();
    expect(scanned('::ffff:10.0.0.7', value.replace('fd00:10:244:1::d643', '::ffff:10.0.0.7'))).toBeUndefined();
  });
});
