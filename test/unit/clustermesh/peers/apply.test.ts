import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type AppliedPeer,
  PeerFolder,
  applyPeers,
  configFiles,
  parsePeerObjects,
} from '../../../../clustermesh/peers/folder/index.ts';
import { invite } from '../../../../clustermesh/peers/enrolment/index.ts';
import { createKey } from '../../../../clustermesh/peers/certificates/index.ts';
import { createCertificate } from '../../../../clustermesh/peers/certificates/x509.ts';
import { renewOwn } from '../../../../clustermesh/peers/renewal/index.ts';
import { meshUsers } from '../../../../clustermesh/roles/index.ts';
import { Users, parseEtcdConfig } from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { TestAuthority } from '../../../support/certificates.ts';
import { stateHash } from '../../../support/peer-clusters.ts';

const day = 86_400_000;
const west = new TestAuthority('authority of west');
let root: string;
let folder: PeerFolder;
const clock = new VirtualClock(Date.now());

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'isthmus-apply-'));
  const own = {
    name: 'east',
    id: 1,
    maxConnectedClusters: 255 as const,
    endpoints: ['https://east.example:2379'],
    enrolment: 'https://east.example:2380',
    extraNames: [],
    namespace: 'kube-system',
    certificateLifetimeMs: 30 * day,
    authorityLifetimeMs: 400 * day,
    authorityFolder: undefined,
  };
  folder = await PeerFolder.create(root, own, clock);
  await renewOwn(folder, { clock, log: silentLogger });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const object = (name: string, spec: object): string =>
  JSON.stringify({ apiVersion: 'isthmus.io/v1', kind: 'Peer', metadata: { name }, spec });
const westSpec = {
  id: 2,
  endpoints: ['https://west.example:2379'],
  authorities: west.cert,
  allowedCIDRs: ['10.2.0.0/16'],
};
const apply = (
  text: string,
  options: { readonly dryRun?: boolean; readonly prune?: boolean } = {},
): Promise<readonly AppliedPeer[]> =>
  applyPeers(folder, parsePeerObjects(text, 'peers.yaml'), {
    file: 'peers.yaml',
    nowMs: clock.now(),
    dryRun: false,
    prune: false,
    ...options,
  });

describe('a file of peers', () => {
  test('makes a peer by its authority, whose certificates are that user and no other', async () => {
    expect(await apply(object('west', westSpec))).toEqual([{ name: 'west', action: 'create', fields: [] }]);
    const { config, policy } = configFiles(folder.paths.configFolder, 'west');
    const own = folder.paths.certificate('remote');
    expect(parseEtcdConfig(readFileSync(config, 'utf8'), 'west')).toEqual({
      endpoints: ['https://west.example:2379'],
      tls: {
        trustedCaFile: configFiles(folder.paths.configFolder, 'west').ca,
        certFile: own.certFile,
        keyFile: own.keyFile,
      },
      ignored: [],
    });
    expect(readFileSync(policy, 'utf8')).toBe('clusterID: 2\nallowedCIDRs:\n  - 10.2.0.0/16\n');
    await using users = await Users.open(
      {
        trustedCaFile: folder.paths.trustedFile,
        usersFile: folder.paths.usersFile,
        builtIn: meshUsers({ clusterName: 'east', podCidrsOf: () => Promise.resolve([]) }),
      },
      { clock, log: silentLogger },
    );
    for (const commonName of ['remote-west', 'admin-east', 'root']) {
      const identity = users.identify(new X509Certificate(west.issue({ commonName }).cert));
      expect('user' in identity && [identity.user, identity.rights.root]).toEqual(['remote-west', false]);
    }
  });

  test('applied again changes nothing', async () => {
    await apply(object('west', westSpec));
    const before = stateHash(root);
    await clock.advance(day);
    expect(await apply(object('west', westSpec))).toEqual([{ name: 'west', action: 'none', fields: [] }]);
    expect(stateHash(root)).toBe(before);
  });

  test('applied again ends what one that was killed had begun', async () => {
    await apply(object('west', westSpec));
    const before = stateHash(root);
    const { config } = configFiles(folder.paths.configFolder, 'west');
    for (const file of [folder.paths.usersFile, config]) rmSync(file);
    expect(await apply(object('west', westSpec))).toEqual([{ name: 'west', action: 'none', fields: [] }]);
    expect(stateHash(root)).toBe(before);
  });

  test('is not kept from an id by an invitation that has expired', async () => {
    await invite(folder, { name: 'north', id: 2, nowMs: clock.now() - 2 * day, validForMs: day }).catch(
      () => undefined,
    );
    expect(await folder.invitations()).toHaveLength(1);
    expect(await apply(object('west', westSpec))).toEqual([{ name: 'west', action: 'create', fields: [] }]);
  });

  test('keeps nothing of what stands between certificates', async () => {
    // It would lie in the directory of configurations, where this word makes one.
    await apply(object('west', { ...westSpec, authorities: `endpoints: x\n${west.cert}endpoints: y\n` }));
    expect(readFileSync(configFiles(folder.paths.configFolder, 'west').ca, 'utf8')).toBe(west.cert);
    expect(await apply(object('west', westSpec))).toEqual([{ name: 'west', action: 'none', fields: [] }]);
  });

  test('changes what it says otherwise, and only says so when told to', async () => {
    await apply(object('west', westSpec));
    const before = stateHash(root);
    const changed = object('west', { ...westSpec, endpoints: ['https://other.example:2379'], allowedCIDRs: undefined });
    const plan = [{ name: 'west', action: 'change', fields: ['allowedCidrs', 'endpoints'] }];
    expect(await apply(changed, { dryRun: true })).toEqual(plan);
    expect(stateHash(root)).toBe(before);
    expect(await apply(changed)).toEqual(plan);
    const { config, policy } = configFiles(folder.paths.configFolder, 'west');
    expect(readFileSync(config, 'utf8')).toContain('other.example');
    expect(readFileSync(policy, 'utf8')).toBe('clusterID: 2\n');
  });

  test('forgets those that stand there no more when told to, and leaves nothing', async () => {
    const before = stateHash(root);
    await apply(
      `${object('west', westSpec)}\n---\n${object('north', { ...westSpec, id: 3, authorities: new TestAuthority('n').cert })}`,
    );
    expect(
      await apply(object('north', { ...westSpec, id: 3, authorities: new TestAuthority('n2').cert }), { prune: true }),
    ).toEqual([
      { name: 'north', action: 'change', fields: ['authorities'] },
      { name: 'west', action: 'remove', fields: [] },
    ]);
    await apply('', { prune: true });
    expect(stateHash(root)).toBe(before);
  });

  test('may hold every other cluster of the largest mesh', async () => {
    folder = await PeerFolder.create(root, { ...folder.own, maxConnectedClusters: 511 }, clock);
    const before = stateHash(root);
    const ids = Array.from({ length: 510 }, (_, i) => i + 2);
    const all = ids.map((id) =>
      object(`c${id}`, { ...westSpec, id, authorities: new TestAuthority(`authority ${id}`).cert }),
    );
    const applied = await apply(all.join('\n---\n'));
    expect(applied.filter(({ action }) => action === 'create')).toHaveLength(510);
    expect(readFileSync(folder.paths.usersFile, 'utf8').match(/name: remote-c/g)).toHaveLength(510);
    expect(existsSync(configFiles(folder.paths.configFolder, 'c511').config)).toBe(true);
    await apply('', { prune: true });
    expect(stateHash(root)).toBe(before);
    // Work for each peer and each other peer would take minutes.
  }, 120_000);

  test('does not say that a peer is reached elsewhere than it says itself', async () => {
    await apply(object('west', westSpec));
    const record = await folder.peer('west');
    if (!record) throw new Error('There is no peer');
    await folder.putPeer({ ...record, kind: 'isthmus' });
    const told = { endpoints: westSpec.endpoints, allowedCIDRs: ['10.9.0.0/16'] };
    expect(await apply(object('west', told))).toEqual([{ name: 'west', action: 'change', fields: ['allowedCidrs'] }]);
    await expect(apply(object('west', { ...told, endpoints: ['https://other.example:1'] }))).rejects.toThrow(
      'west: spec.endpoints: expected none, since west tells itself how it is reached (https://west.example:2379)',
    );
  });

  test('does not make one authority speak for two clusters, or for ours', async () => {
    const before = stateHash(root);
    const spec = (id: number, authorities: string): object => ({ ...westSpec, id, authorities });
    const ours = readFileSync(folder.paths.trustedFile, 'utf8');
    for (const text of [
      object('west', spec(2, ours)),
      object('west', spec(2, west.cert + ours)),
      `${object('west', spec(2, west.cert))}\n---\n${object('north', spec(3, west.cert))}`,
    ])
      await expect(apply(text)).rejects.toMatchObject({ code: 'AUTHORITY_TAKEN' });
    expect(stateHash(root)).toBe(before);
    await apply(object('west', spec(2, west.cert)));
    await expect(apply(object('north', spec(3, west.cert)))).rejects.toThrow(
      'The authority of north is that of west, too',
    );
  });

  test('does not take another certificate of our own authority’s key for somebody else’s authority', async () => {
    const before = stateHash(root);
    const ours = new X509Certificate(readFileSync(folder.paths.trustedFile));
    // Its key is public. All that our authority has signed would seem to be of both, and be refused.
    const wish = { commonName: ours.subject.replace('CN=', ''), use: 'authority' as const };
    const dates = { notBeforeMs: clock.now() - day, notAfterMs: clock.now() + day };
    const twin = await createCertificate({ ...wish, ...dates }, ours.publicKey, { self: await createKey() });
    await expect(apply(object('west', { ...westSpec, authorities: west.cert + twin }))).rejects.toMatchObject({
      code: 'AUTHORITY_TAKEN',
    });
    expect(stateHash(root)).toBe(before);
  });

  test('lets two peers exchange their ids', async () => {
    const two = (first: number, second: number): string =>
      `${object('west', { ...westSpec, id: first })}\n---\n${object('north', { ...westSpec, id: second, authorities: north.cert })}`;
    const north = new TestAuthority('authority of north');
    await apply(two(2, 3));
    expect(await apply(two(3, 2))).toEqual([
      { name: 'north', action: 'change', fields: ['id'] },
      { name: 'west', action: 'change', fields: ['id'] },
    ]);
    await expect(apply(two(2, 2))).rejects.toMatchObject({ code: 'ID_TAKEN' });
  });

  test.each([
    { what: 'another kind', text: object('west', westSpec).replace('"Peer"', '"Pear"'), says: 'kind: expected Peer' },
    { what: 'no YAML', text: 'a: [', says: 'peers.yaml: expected YAML' },
    {
      what: 'an alias',
      text: `${object('north', { ...westSpec, id: 3 })}\n---\n`.concat(
        'apiVersion: isthmus.io/v1\nkind: Peer\nmetadata: {name: west}\nspec:\n  allowedCIDRs: &a [10.2.0.0/16]\n  endpoints: *a\n',
      ),
      says: 'peers.yaml, document 2: spec.endpoints: expected a value that is written out, not an alias',
    },
    {
      what: 'an alias that leads nowhere',
      text: 'apiVersion: isthmus.io/v1\nkind: Peer\nmetadata: {name: west}\nspec:\n  allowedCIDRs: [10.2.0.0/16, *b]\n',
      says: 'peers.yaml: spec.allowedCIDRs[1]: expected a value that is written out, not an alias',
    },
    { what: 'no name', text: object('West', westSpec), says: 'metadata.name: expected the name of a cluster' },
    {
      what: 'a misspelled member',
      text: object('west', { ...westSpec, allowedCidrs: [] }),
      says: 'spec.allowedCidrs: expected no such member',
    },
    {
      what: 'a block that is none',
      text: object('west', { ...westSpec, allowedCIDRs: ['10.2.0.0/33'] }),
      says: 'spec.allowedCIDRs[0]',
    },
    {
      what: 'limits whose blocks were commented out',
      text: object('west', { ...westSpec, allowedCIDRs: null }),
      says: 'spec.allowedCIDRs: expected a list of blocks',
    },
    { what: 'cleartext', text: object('west', { ...westSpec, endpoints: ['http://w:1'] }), says: 'spec.endpoints[0]' },
    {
      what: 'no id',
      text: object('west', { ...westSpec, id: undefined }),
      says: 'spec.id: expected one beside authorities',
    },
    {
      what: 'a certificate that is no authority',
      text: object('west', { ...westSpec, authorities: west.issue({ commonName: 'x' }).cert }),
      says: 'spec.authorities',
    },
    {
      what: 'a private key',
      text: object('west', { ...westSpec, authorities: west.cert + west.key }),
      says: 'spec.authorities: expected certificates alone',
    },
    { what: 'a peer that is none', text: object('west', { allowedCIDRs: [] }), says: 'west: spec.authorities' },
    { what: 'our own id', text: object('west', { ...westSpec, id: 1 }), says: '1 is the id of this cluster (east)' },
    { what: 'our own name', text: object('east', westSpec), says: 'east is the name of this cluster' },
    {
      what: 'one id twice',
      text: `${object('west', westSpec)}\n---\n${object('north', westSpec)}`,
      says: 'Cluster id 2 is that of the peer west',
    },
    {
      what: 'one peer twice',
      text: `${object('west', westSpec)}\n---\n${object('west', westSpec)}`,
      says: 'west stands there twice',
    },
  ])('with $what is refused as a whole, and nothing is done', async ({ text, says }) => {
    const before = stateHash(root);
    await expect(async () => await apply(text)).rejects.toThrow(says);
    expect(stateHash(root)).toBe(before);
  });
});
