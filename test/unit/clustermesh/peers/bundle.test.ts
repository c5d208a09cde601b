import { beforeAll, describe, expect, test } from '@jest/globals';
import { type InvitationBundle, formatBundle, parseBundle } from '../../../../clustermesh/peers/enrolment/index.ts';
import { createToken, isToken, tokenHashOf } from '../../../../clustermesh/peers/enrolment/token.ts';
import { PeerDocumentError } from '../../../../clustermesh/peers/folder/index.ts';
import { TestAuthority, fingerprintOf } from '../../../support/certificates.ts';
import { Random } from '../../../../runtime/random/index.ts';
import { mutate } from '../../../support/mutate.ts';

let bundle: InvitationBundle;

beforeAll(() => {
  const { cert } = new TestAuthority('east');
  bundle = {
    cluster: { name: 'east', id: 1, maxConnectedClusters: 255 },
    invited: { name: 'west', id: 2 },
    endpoints: ['https://east.example:2379'],
    enrolment: 'https://[::1]:2380',
    authorities: cert,
    fingerprint: fingerprintOf(cert),
    request: 'a request',
    invitation: '0123456789abcdef',
    token: createToken(),
    expiresMs: Date.UTC(2030, 0, 1),
  };
});

describe('an invitation', () => {
  test('is read as it was written', () => {
    expect(parseBundle(formatBundle(bundle))).toEqual(bundle);
  });

  test.each([
    { what: 'no JSON', change: () => 'token: x', says: 'Invitation: expected JSON' },
    { what: 'a list', change: () => '[]', says: 'Invitation: expected a mapping' },
    { what: 'another kind', change: (t: string) => t.replace('isthmus-peer-invitation', 'x'), says: 'kind' },
    {
      what: 'a newer version',
      change: (t: string) => t.replace('"version": 1', '"version": 2'),
      says: 'newer isthmus',
    },
    { what: 'a name that is none', change: (t: string) => t.replace('"west"', '"We st"'), says: 'invited.name' },
    { what: 'an id beyond a mesh', change: (t: string) => t.replace('"id": 2', '"id": 512'), says: 'invited.id' },
    { what: 'cleartext', change: (t: string) => t.replace('https://east', 'http://east'), says: 'endpoints[0]' },
    { what: 'a path', change: (t: string) => t.replace('2379"', '2379/x"'), says: 'endpoints[0]' },
    { what: 'a login', change: (t: string) => t.replace('https://east', 'https://a:b@east'), says: 'endpoints[0]' },
    {
      what: 'another fingerprint',
      change: (t: string) => t.replace(bundle.fingerprint.slice(0, 8), '00:00:00'),
      says: 'fingerprint',
    },
    { what: 'a short token', change: (t: string) => t.replace(bundle.token, bundle.token.slice(1)), says: 'token' },
    {
      what: 'an invitation outside of its folder',
      change: (t: string) => t.replace('0123456789abcdef', '../../../secrets'),
      says: 'invitation',
    },
    {
      what: 'a member that means nothing',
      change: (t: string) => t.replace('"version"', '"x": 1, "version"'),
      says: 'x: expected no such member',
    },
  ])('is refused with $what', ({ change, says }) => {
    const text = change(formatBundle(bundle));
    expect(() => parseBundle(text)).toThrow(PeerDocumentError);
    expect(() => parseBundle(text)).toThrow(says);
  });

  test('of any garbage is read or refused by name, and no error repeats the token', () => {
    const text = formatBundle(bundle);
    const random = new Random(7);
    for (let i = 0; i < 3000; i++) {
      const garbled = mutate(Buffer.from(text), random).toString('latin1');
      try {
        parseBundle(garbled);
      } catch (error) {
        if (!(error instanceof PeerDocumentError)) throw error;
        expect(error.message).not.toContain(bundle.token.slice(0, 12));
      }
    }
  });
});

describe('a token', () => {
  test('has 256 bits, and is known by its hash', () => {
    const tokens = Array.from({ length: 100 }, createToken);
    expect(new Set(tokens).size).toBe(100);
    for (const token of tokens) {
      expect(Buffer.from(token, 'base64url')).toHaveLength(32);
      expect(isToken(token, tokenHashOf(token))).toBe(true);
      expect(isToken(`${token}x`, tokenHashOf(token))).toBe(false);
    }
    expect(isToken('', tokenHashOf(tokens[0] ?? ''))).toBe(false);
    expect(isToken('x', 'no hash')).toBe(false);
  });
});
