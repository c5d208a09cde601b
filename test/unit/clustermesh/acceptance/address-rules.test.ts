import { describe, expect, test } from '@jest/globals';
import { AddressRules, BlockSet, OwnSpace } from '../../../../clustermesh/index.ts';
import { containsIp, ipv4ToNumber, parsePrefix } from '../../../../values/ip/index.ts';
import { Random } from '../../../../runtime/random/index.ts';

const prefixes = (...texts: string[]) => texts.map((text) => parsePrefix(text));

function ownSpace(): OwnSpace {
  const space = new OwnSpace();
  space.set('configured', { blocks: [], networks: prefixes('192.168.0.0/16') });
  space.set('node/e1', { blocks: prefixes('10.1.1.0/24', 'fd00:1::/64'), hosts: ['172.18.0.2', 'fc00::2'] });
  space.set('service/shop/web', { blocks: prefixes('10.96.0.7/32') });
  return space;
}

describe('what another cluster may claim', () => {
  test.each([
    ['10.2.1.5/32', undefined],
    ['10.2.0.0/16', undefined],
    ['fd00:2::5/128', undefined],
    ['10.1.1.5/32', 'own-address'],
    ['10.1.0.0/16', 'own-address'],
    ['10.1.1.128/25', 'own-address'],
    ['fd00:1::/48', 'own-address'],
    ['10.96.0.7/32', 'own-address'],
    ['10.96.0.8/32', undefined],
    ['172.18.0.2/32', 'own-address'],
    ['172.18.0.3/32', undefined],
    ['192.168.7.7/32', 'own-address'],
    ['0.0.0.0/0', 'special-address'],
    ['0.0.0.0/1', 'special-address'],
    ['128.0.0.0/1', 'special-address'],
    ['::/0', 'special-address'],
    ['8000::/1', 'special-address'],
    ['127.0.0.1/32', 'special-address'],
    ['169.254.169.254/32', 'special-address'],
    ['224.0.0.1/32', 'special-address'],
    ['::1/128', 'special-address'],
    ['fe80::1/128', 'special-address'],
  ])('%s: %s', (text, problem) => {
    const rules = new AddressRules(ownSpace().content());
    const prefix = parsePrefix(text);
    expect(rules.problem(prefix)).toBe(problem);
    if (prefix.family === 4 && prefix.length === 32) expect(rules.problem4(ipv4ToNumber(prefix.address))).toBe(problem);
  });

  test.each([
    ['10.2.1.5/32', undefined],
    ['10.2.0.0/16', undefined],
    ['10.2.0.0/15', undefined],
    ['10.4.0.0/15', 'not-allowed'],
    ['10.3.0.0/16', undefined],
    ['10.4.0.1/32', 'not-allowed'],
    ['fd00:2::5/128', 'not-allowed'],
  ])('with allowedCIDRs, %s: %s', (text, problem) => {
    const rules = new AddressRules(ownSpace().content(), prefixes('10.2.0.0/16', '10.3.0.0/17', '10.3.128.0/17'));
    expect(rules.problem(parsePrefix(text))).toBe(problem);
  });

  test('an empty list allows nothing', () => {
    const rules = new AddressRules(new OwnSpace().content(), []);
    expect(rules.problem(parsePrefix('10.2.1.5/32'))).toBe('not-allowed');
  });

  test.each([
    ['', undefined],
    ['172.18.0.3', undefined],
    // In a block that was configured, where nodes of other clusters may stand, too.
    ['192.168.7.7', undefined],
    ['172.18.0.2', 'own-host'],
    ['fc00::2', 'own-host'],
    ['10.1.1.9', 'own-host'],
    ['10.96.0.7', 'own-host'],
    ['127.0.0.1', 'special-host'],
    ['fe80::2', 'special-host'],
  ])('a host %p: %s', (host, problem) => {
    expect(new AddressRules(ownSpace().content(), prefixes('10.2.0.0/16')).hostProblem(host)).toBe(problem);
  });

  test('a host on loopback is none, unless our own nodes stand there, too', () => {
    const space = new OwnSpace();
    const problem = (host: string) => new AddressRules(space.content()).hostProblem(host);
    expect(problem('127.0.0.2')).toBe('special-host');
    space.set('node/e1', { blocks: [], hosts: ['127.0.0.1'] });
    expect([problem('127.0.0.2'), problem('127.0.0.1'), problem('fe80::1')]).toEqual([
      undefined,
      'own-host',
      'special-host',
    ]);
  });

  test('are looser when something may pass that did not', () => {
    const space = ownSpace();
    const rules = (...allowed: string[]): AddressRules =>
      new AddressRules(space.content(), allowed.length === 0 ? undefined : prefixes(...allowed));
    const before = rules();
    expect(rules().same(before)).toBe(true);
    space.set('node/e2', { blocks: prefixes('10.1.2.0/24') });
    const more = rules();
    expect([more.same(before), more.looserThan(before), before.looserThan(more)]).toEqual([false, false, true]);
    const limited = rules('10.2.0.0/16');
    expect([limited.looserThan(more), more.looserThan(limited)]).toEqual([false, true]);
    expect(rules('10.2.1.0/24').looserThan(limited)).toBe(false);
    expect(rules('10.2.0.0/16', '10.3.0.0/16').looserThan(limited)).toBe(true);
    space.remove('node/e1');
    expect(rules().looserThan(more)).toBe(true);
  });
});

describe('our own space', () => {
  test('says when it has changed, and only then', () => {
    const space = ownSpace();
    const { version } = space;
    space.set('node/e1', { blocks: prefixes('10.1.1.0/24', 'fd00:1::/64'), hosts: ['172.18.0.2', 'fc00::2'] });
    space.remove('node/e9');
    expect(space.version).toBe(version);
    space.set('node/e1', { blocks: prefixes('10.1.1.0/24'), hosts: ['172.18.0.2'] });
    expect(space.version).toBe(version + 1);
  });
});

test('a set of blocks says what looking at each block says', () => {
  const random = new Random(7);
  const anyPrefix = () => {
    const length = 4 + random.int(9);
    return parsePrefix(`${random.int(16)}.${random.int(256)}.0.0/${length}`, { strict: false });
  };
  for (let round = 0; round < 200; round++) {
    const blocks = Array.from({ length: random.int(6) }, anyPrefix);
    const set = new BlockSet(blocks);
    for (let i = 0; i < 20; i++) {
      const address = `${random.int(16)}.${random.int(256)}.${random.int(256)}.1`;
      const inside = blocks.some((block) => containsIp(block, address));
      expect(set.has4(ipv4ToNumber(address))).toBe(inside);
      expect(set.overlaps(parsePrefix(`${address}/32`))).toBe(inside);
      expect(set.covers(parsePrefix(`${address}/32`))).toBe(inside);
    }
  }
});
