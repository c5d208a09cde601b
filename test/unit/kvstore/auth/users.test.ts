import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type BuiltInUsers, Users, type UsersOptions, permitPrefix } from '../../../../kvstore/auth/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { type CertificateWish, TestAuthority } from '../../../support/certificates.ts';
import { until } from '../../../support/until.ts';

const ours = new TestAuthority('ours');
const west = new TestAuthority('west');
const between = new TestAuthority('between', { parent: ours });

const builtIn: BuiltInUsers = {
  rolesOf: (user) =>
    user === 'remote' ? [{ name: 'remote', permissions: [permitPrefix('read', 'mesh/')] }] : undefined,
  roleFor: (role) => (role === 'remote' ? { name: 'remote', permissions: [permitPrefix('read', 'mesh/')] } : undefined),
};

let folder: string;
let clock: VirtualClock;
const write = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const certificate = (authority: TestAuthority, wish: Partial<CertificateWish> & { readonly commonName: string }) =>
  new X509Certificate(authority.issue(wish).cert);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-users-'));
  clock = new VirtualClock(Date.now());
  write('ours.crt', ours.cert);
  write('west.crt', west.cert);
  write('twin.crt', west.certify(ours));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (options: UsersOptions = {}): Promise<Users> =>
  Users.open({ trustedCaFile: join(folder, 'ours.crt'), builtIn, ...options }, { clock, log: silentLogger });

/** The user, or why it is none. */
const whoIs = (users: Users, one: X509Certificate): string => {
  const identity = users.identify(one);
  return 'user' in identity ? identity.user : `nobody: ${identity.refused}`;
};

describe('users', () => {
  test('are whom a certificate of our authority names, if there is such a user', async () => {
    const usersFile = write('users.yaml', 'users: [{name: app, role: r}]\nroles: [{name: r, permissions: []}]');
    await using users = await open({ usersFile });
    expect(whoIs(users, certificate(ours, { commonName: 'root' }))).toBe('root');
    expect(whoIs(users, certificate(ours, { commonName: 'remote' }))).toBe('remote');
    expect(whoIs(users, certificate(ours, { commonName: 'app' }))).toBe('app');
    expect(whoIs(users, certificate(ours, { commonName: 'mallory' }))).toBe('nobody: there is no user "mallory"');
    expect(whoIs(users, certificate(ours, { commonName: '' }))).toMatch(/^nobody: the certificate has no common name/);
  });

  test('of another’s authority are the one user that it stands for, whatever their certificates say', async () => {
    const file = 'authorities: [{file: west.crt, user: remote-west}]\nusers: [{name: remote-west, role: remote}]';
    await using users = await open({ usersFile: write('users.yaml', file) });
    for (const commonName of ['root', 'remote-east', 'admin-east', ''])
      expect(whoIs(users, certificate(west, { commonName }))).toBe('remote-west');
    const identity = users.identify(certificate(west, { commonName: 'root' }));
    expect('rights' in identity && identity.rights.root).toBe(false);
  });

  test('that stand beside fingerprints come with one of these certificates, and with no other of the same name', async () => {
    const [known, other] = [
      certificate(ours, { commonName: 'remote-west' }),
      certificate(ours, { commonName: 'remote-west' }),
    ];
    const entry = `{name: remote-west, role: remote, certificates: ["${known.fingerprint256}"]}`;
    await using users = await open({ usersFile: write('users.yaml', `users: [${entry}]`) });
    expect(whoIs(users, known)).toBe('remote-west');
    expect(whoIs(users, other)).toBe('nobody: the certificate is none of those of the user "remote-west"');
  });

  test('are only those that their authority may name', async () => {
    const file = 'authorities: [{file: west.crt, users: [remote, ops]}]\nusers: [{name: ops, role: root}]';
    await using users = await open({ usersFile: write('users.yaml', file) });
    expect(whoIs(users, certificate(west, { commonName: 'ops' }))).toBe('ops');
    expect(whoIs(users, certificate(west, { commonName: 'root' }))).toMatch(/nobody: .*west.crt may not name .*"root"/);
    expect(whoIs(users, certificate(ours, { commonName: 'ops' }))).toBe('ops');
  });

  test('come from nobody but listed authorities, however an authority calls itself', async () => {
    await using users = await open();
    const impostor = new TestAuthority('ours');
    expect(whoIs(users, certificate(impostor, { commonName: 'root' }))).toMatch(/^nobody: the authority/);
    expect(whoIs(users, certificate(west, { commonName: 'root' }))).toMatch(/^nobody: the authority/);
    expect(whoIs(users, certificate(between, { commonName: 'root' }))).toMatch(/^nobody: the authority/);
    // A certificate for a server or client is no authority, though it was signed by one.
    write('ours.crt', ours.cert + between.cert);
    await clock.advance(2001);
    await until(() => users.revision >= 2);
    expect(whoIs(users, certificate(between, { commonName: 'root' }))).toBe('root');
  });

  test('are nobody once their certificate has expired, or is revoked', async () => {
    const revoked = ours.issue({ commonName: 'root' });
    const crlFile = write('ours.crl', ours.revocationList([west.cert, revoked.cert]));
    const banned = certificate(ours, { commonName: 'root' });
    const usersFile = write('users.yaml', `revoked: ["${banned.fingerprint256}"]`);
    await using users = await open({ crlFile, usersFile });
    expect(whoIs(users, certificate(ours, { commonName: 'root' }))).toBe('root');
    expect(whoIs(users, new X509Certificate(revoked.cert))).toBe('nobody: the certificate is revoked');
    expect(whoIs(users, banned)).toBe('nobody: the certificate is revoked');
    const old = certificate(ours, { commonName: 'root', notAfterMs: clock.now() - 1000 });
    expect(whoIs(users, old)).toBe('nobody: the certificate has expired');
  });

  test('change with the files, and stay while those cannot be used', async () => {
    const usersFile = write('users.yaml', 'users: [{name: a, role: root}]');
    await using users = await open({ usersFile });
    let changes = 0;
    using _heard = users.onChange(() => (changes += 1));
    const [a, b] = [certificate(ours, { commonName: 'a' }), certificate(ours, { commonName: 'b' })];
    const settle = async (text: string, holds: () => boolean): Promise<void> => {
      write('users.yaml', text);
      // A look that is under way while time passes sets its next one only afterwards.
      await until(holds, () => clock.advance(2001));
    };
    await settle('users: [{name: b, role: root}]', () => changes === 1);
    expect([whoIs(users, a), whoIs(users, b)]).toEqual(['nobody: there is no user "a"', 'b']);
    write('users.yaml', 'users: [{name: b}]');
    await clock.advance(2001);
    await settle('users: [{name: a, role: root}, {name: b, role: root}]', () => changes === 2);
    expect([whoIs(users, a), whoIs(users, b)]).toEqual(['a', 'b']);
    expect(users.revision).toBe(3);
  });

  test.each([
    { what: 'no authority', options: { trustedCaFile: undefined }, text: 'no authority is named' },
    {
      what: 'a missing file',
      options: { usersFile: '/nowhere' },
      text: '/nowhere: cannot be read: there is no such file or directory',
    },
    { what: 'an unknown role', file: 'users: [{name: a, role: x}]', text: 'users[0].role: there is no role "x"' },
    { what: 'a field too much', file: 'users: [{name: a, role: root, node: n}]', text: 'users[0].node: means nothing' },
    { what: 'an authority twice', file: 'authorities: [{file: ours.crt, user: a}]', text: 'holds too' },
    {
      what: 'another certificate of the key of an authority',
      file: 'authorities: [{file: twin.crt, user: a}]',
      text: 'holds a certificate of a key that',
    },
    { what: 'an authority that is none', file: 'authorities: [{file: users.yaml, user: a}]', text: 'no certificate' },
    {
      what: 'a list of somebody else',
      crl: () => west.revocationList([]),
      text: 'ours.crl: not signed by the authority',
    },
    { what: 'a list that is none', crl: () => 'x', text: /ours.crl: (N|n)ot/ },
  ])('are refused with $what', async ({ options, file, crl, text }) => {
    const usersFile = file === undefined ? {} : { usersFile: write('users.yaml', file) };
    const crlFile = crl === undefined ? {} : { crlFile: write('ours.crl', crl()) };
    await expect(open({ ...usersFile, ...crlFile, ...options } as UsersOptions)).rejects.toThrow(text);
  });
});
