import { describe, expect, test } from '@jest/globals';
import {
  type AuthorityFacts,
  type OwnCertificateFacts,
  type PeerFacts,
  type RenewalFacts,
  renewalSteps,
} from '../../../../clustermesh/peers/renewal/index.ts';

const day = 86_400_000;
const start = Date.UTC(2027, 0, 1);
const certificateLifetimeMs = 90 * day;
const authorityLifetimeMs = 1000 * day;

const authority: AuthorityFacts = {
  notBeforeMs: start,
  notAfterMs: start + authorityLifetimeMs,
  fingerprint: 'A1',
  isExternal: false,
  isReplaced: false,
  rotationWanted: false,
  next: undefined,
  switchedAtMs: undefined,
  previous: [],
};
const server: OwnCertificateFacts = {
  notBeforeMs: start,
  notAfterMs: start + 90 * day,
  isCurrent: true,
  namesMatch: true,
};
const west: PeerFacts = {
  name: 'west',
  canAsk: true,
  trusts: ['A1'],
  ours: { notBeforeMs: start, notAfterMs: start + 90 * day },
  admitted: [{ fingerprint: 'W1', notAfterMs: start + 90 * day, issuer: 'A1' }],
  seenMs: start,
};
const facts = (
  changes: {
    authority?: Partial<AuthorityFacts>;
    server?: Partial<OwnCertificateFacts>;
    west?: Partial<PeerFacts>;
  } = {},
): RenewalFacts => ({
  certificateLifetimeMs,
  authorityLifetimeMs,
  authority: { ...authority, ...changes.authority },
  certificates: new Map([['server', { ...server, ...changes.server }]]),
  peers: [{ ...west, ...changes.west }],
});

describe('what is to be renewed', () => {
  test.each([
    { when: 'all is fresh', facts: facts(), at: start, steps: [] },
    {
      when: 'there is nothing yet',
      facts: { ...facts(), authority: undefined },
      at: start,
      steps: [{ kind: 'create-authority' }],
    },
    {
      when: 'a certificate is missing',
      facts: { ...facts(), certificates: new Map([['local' as const, undefined]]) },
      at: start,
      steps: [{ kind: 'issue', name: 'local', why: 'missing' }],
    },
    {
      when: 'two thirds of a life are over',
      facts: facts({ west: { seenMs: start + 60 * day } }),
      at: start + 60 * day,
      steps: [
        { kind: 'issue', name: 'server', why: 'due' },
        { kind: 'exchange', peer: 'west', why: 'due' },
      ],
    },
    {
      when: 'the server has got another name',
      facts: facts({ server: { namesMatch: false } }),
      at: start,
      steps: [{ kind: 'issue', name: 'server', why: 'names' }],
    },
    {
      when: 'a peer has not been asked for long',
      facts: facts(),
      at: start + day,
      steps: [{ kind: 'exchange', peer: 'west', why: 'silent' }],
    },
    { when: 'such a peer cannot be asked', facts: facts({ west: { canAsk: false } }), at: start + day, steps: [] },
    {
      when: 'the authority is to be renewed',
      facts: facts({ authority: { rotationWanted: true } }),
      at: start,
      steps: [{ kind: 'prepare-authority' }],
    },
    {
      when: 'the authority has a quarter of its life left',
      facts: facts(),
      at: start + 751 * day,
      steps: [{ kind: 'prepare-authority' }],
    },
    {
      when: 'a peer does not know the next authority',
      facts: facts({ authority: { next: { fingerprint: 'A2', sinceMs: start } } }),
      at: start + 1000,
      steps: [{ kind: 'exchange', peer: 'west', why: 'authorities' }],
    },
    {
      when: 'all know the next authority, but not for long',
      facts: facts({ authority: { next: { fingerprint: 'A2', sinceMs: start } }, west: { trusts: ['A1', 'A2'] } }),
      at: start + 1000,
      steps: [],
    },
    {
      when: 'all know the next authority',
      facts: facts({ authority: { next: { fingerprint: 'A2', sinceMs: start } }, west: { trusts: ['A1', 'A2'] } }),
      at: start + day,
      steps: [{ kind: 'switch-authority', lacking: [] }],
    },
    {
      when: 'a peer will never say that it knows the next authority',
      facts: facts({ authority: { next: { fingerprint: 'A2', sinceMs: start } }, west: { trusts: undefined } }),
      at: start + day,
      steps: [{ kind: 'switch-authority', lacking: [] }],
    },
    {
      when: 'a peer that knows nothing of the next authority has nothing left to come with',
      facts: facts({
        authority: { next: { fingerprint: 'A2', sinceMs: start } },
        west: { canAsk: false, trusts: ['A1'] },
      }),
      at: start + 91 * day,
      steps: [{ kind: 'switch-authority', lacking: [] }],
    },
    {
      when: 'a peer has been silent until the authority is about to expire',
      facts: facts({
        authority: { next: { fingerprint: 'A2', sinceMs: start } },
        west: { admitted: [{ fingerprint: 'W1', notAfterMs: start + 900 * day, issuer: 'A1' }] },
      }),
      at: start + 880 * day,
      steps: [{ kind: 'switch-authority', lacking: ['west'] }],
    },
    {
      when: 'another authority signs now',
      facts: facts({ server: { isCurrent: false } }),
      at: start,
      steps: [{ kind: 'issue', name: 'server', why: 'authority' }],
    },
    {
      when: 'certificates of the old authority may still be in use',
      facts: facts({
        authority: { previous: [{ ...authority, fingerprint: 'A0' }], switchedAtMs: start },
        west: { seenMs: start + 89 * day, ours: undefined, admitted: [] },
        server: { notBeforeMs: start + 80 * day, notAfterMs: start + 170 * day },
      }),
      at: start + 89 * day,
      steps: [],
    },
    {
      when: 'a peer holds one that is longer valid than ours',
      facts: facts({
        authority: { previous: [{ ...authority, fingerprint: 'A0' }], switchedAtMs: start },
        west: {
          seenMs: start + 91 * day,
          ours: undefined,
          admitted: [{ ...west.admitted[0]!, notAfterMs: start + 900 * day, issuer: 'A0' }],
        },
        server: { notBeforeMs: start + 80 * day, notAfterMs: start + 170 * day },
      }),
      at: start + 91 * day,
      steps: [],
    },
    {
      when: 'all certificates of the old authority have expired',
      facts: facts({
        authority: { previous: [{ ...authority, fingerprint: 'A0' }], switchedAtMs: start },
        west: { seenMs: start + 91 * day, ours: undefined },
        server: { notBeforeMs: start + 80 * day, notAfterMs: start + 170 * day },
      }),
      at: start + 91 * day,
      steps: [{ kind: 'retire-authority', fingerprint: 'A0' }],
    },
    {
      when: 'a certificate that was given has expired, and a later one has not',
      facts: facts({
        west: {
          seenMs: start + 91 * day,
          ours: undefined,
          admitted: [...west.admitted, { fingerprint: 'W2', notAfterMs: start + 150 * day, issuer: 'A1' }],
        },
        server: { notBeforeMs: start + 80 * day, notAfterMs: start + 170 * day },
      }),
      at: start + 91 * day,
      steps: [{ kind: 'forget-admitted', peer: 'west', fingerprint: 'W1' }],
    },
    {
      when: 'the last certificate that was given has expired',
      facts: facts({
        west: { seenMs: start + 91 * day, ours: undefined },
        server: { notBeforeMs: start + 80 * day, notAfterMs: start + 170 * day },
      }),
      at: start + 91 * day,
      steps: [],
    },
    {
      when: 'somebody else has replaced the authority',
      facts: facts({ authority: { isExternal: true, isReplaced: true } }),
      at: start,
      steps: [{ kind: 'note-replaced-authority' }],
    },
    {
      when: 'a peer does not know yet the authority by which somebody else has replaced ours',
      facts: facts({
        authority: { isExternal: true, fingerprint: 'B', previous: [authority], switchedAtMs: start },
        server: { isCurrent: false },
      }),
      at: start + 5 * day,
      steps: [{ kind: 'exchange', peer: 'west', why: 'authorities' }],
    },
    {
      when: 'peers know the authority by which somebody else has replaced ours, but not for long',
      facts: facts({
        authority: { isExternal: true, fingerprint: 'B', previous: [authority], switchedAtMs: start },
        server: { isCurrent: false },
        west: { trusts: ['B', 'A1'] },
      }),
      at: start + 1000,
      steps: [],
    },
    {
      when: 'peers know the authority by which somebody else has replaced ours for a day',
      facts: facts({
        authority: { isExternal: true, fingerprint: 'B', previous: [authority], switchedAtMs: start },
        server: { isCurrent: false },
        west: { trusts: ['B', 'A1'], seenMs: start + day },
      }),
      at: start + day,
      steps: [{ kind: 'issue', name: 'server', why: 'authority' }],
    },
    {
      when: 'a peer never learns the authority by which somebody else has replaced ours',
      facts: facts({
        authority: { isExternal: true, fingerprint: 'B', previous: [authority], switchedAtMs: start },
        server: { isCurrent: false },
        west: { canAsk: false },
      }),
      at: start + 60 * day,
      steps: [{ kind: 'issue', name: 'server', why: 'due' }],
    },
    {
      when: 'somebody else looks after an old authority',
      facts: facts({
        authority: { isExternal: true },
        west: { seenMs: start + 999 * day, ours: undefined, admitted: [] },
        server: { notBeforeMs: start + 990 * day, notAfterMs: start + 1080 * day },
      }),
      at: start + 999 * day,
      steps: [],
    },
  ])('when $when', ({ facts, at, steps }) => {
    expect(renewalSteps(facts, at)).toEqual(steps);
  });
});
