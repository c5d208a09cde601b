import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { type Store, Users, openEtcdStore } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { TestAuthority, writeCertificate } from '../../../support/certificates.ts';
import { type Guarded, type OpenedStore, describeStore } from '../suite/index.ts';
import { openEmbedded } from './embedded-harness.ts';

jest.setTimeout(180_000);

const dependencies = { clock: systemClock, log: silentLogger };

/** An authority, and what it issues, in a folder of its own. */
function authority(): {
  readonly folder: string;
  readonly trustedCaFile: string;
  readonly issue: (name: string) => ReturnType<typeof writeCertificate>;
} {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-contract-mtls-'));
  const ours = new TestAuthority('authority of the contract');
  const trustedCaFile = join(folder, 'ca.crt');
  writeFileSync(trustedCaFile, ours.cert);
  return { folder, trustedCaFile, issue: (name) => writeCertificate(folder, name, ours.issue({ commonName: name })) };
}

/** Who has no certificate of the authority gets nowhere; who has one may do everything. */
async function openSecured(): Promise<OpenedStore> {
  const { folder, trustedCaFile, issue } = authority();
  return openEmbedded({
    scheme: 'https',
    serve: { tls: { ...issue('server'), trustedCaFile, clientCertAuth: true } },
    client: { tls: { ...issue('client'), trustedCaFile } },
    guarded: openGuarded,
    dispose: async () => rmSync(folder, { recursive: true, force: true }),
  });
}

const usersWith = (role: string): string => `
users: [{name: reader, role: ${role}}, {name: stranger, role: nothing}]
roles:
- {name: nothing, permissions: []}
- {name: open, permissions: [{access: read, prefix: open/}, {access: readwrite, prefix: open/rw/}]}
`;

/** The common name of a certificate says who it is, and a file what that one may do. */
async function openGuarded(): Promise<Guarded> {
  const { folder, trustedCaFile, issue } = authority();
  const usersFile = join(folder, 'users.yaml');
  writeFileSync(usersFile, usersWith('open'));
  const users = await Users.open({ trustedCaFile, usersFile, lookEveryMs: 20 }, dependencies);
  const opened = await openEmbedded({
    scheme: 'https',
    serve: { tls: { ...issue('server'), clientCertAuth: true }, users },
    client: { tls: { ...issue('root'), trustedCaFile } },
  });
  const as = (name: string): Store =>
    openEtcdStore({
      endpoints: [opened.store.health().endpoint],
      tls: { ...issue(name), trustedCaFile },
      ...dependencies,
    });
  const [reader, stranger] = [as('reader'), as('stranger')];
  return {
    owner: opened.store,
    reader,
    stranger,
    revokeReader: async () => {
      writeFileSync(`${usersFile}.new`, usersWith('nothing'));
      renameSync(`${usersFile}.new`, usersFile);
    },
    [Symbol.asyncDispose]: async () => {
      await reader[Symbol.asyncDispose]();
      await stranger[Symbol.asyncDispose]();
      await opened.dispose();
      await users[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describeStore('Store embedded, over the wire with certificates on both sides', openSecured, {
  disturbances: ['restart', 'resume', 'breakable', 'wipe', 'backup', 'guarded'],
});
