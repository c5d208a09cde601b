import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from '@jest/globals';
import {
  type InvitationBundle,
  type InviteOptions,
  acceptInvitation,
  askPeer,
  exchangeWith,
  invite,
} from '../../../../clustermesh/peers/enrolment/index.ts';
import { configFiles } from '../../../../clustermesh/peers/folder/index.ts';
import { createKey, createRequest } from '../../../../clustermesh/peers/certificates/index.ts';
import { type Clock, VirtualClock } from '../../../../runtime/clock/index.ts';
import { createLogger } from '../../../../runtime/log/index.ts';
import { TestAuthority } from '../../../support/certificates.ts';
import { type TestCluster, testCluster } from '../../../support/peer-clusters.ts';

export const hour = 3_600_000;
export const { signal } = new AbortController();
export let root: string;
export let clock: VirtualClock;
export let logged: string;
export let east: TestCluster;
export let west: TestCluster;

/** Two clusters for each test of a file, whose folders and servers go with it. */
export function withTwoPeers(): void {
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'isthmus-enrolment-'));
    // TLS asks the clock of the machine: what was made two months ago is valid now.
    clock = new VirtualClock(Date.now() - 61 * 24 * hour);
    logged = '';
    const log = createLogger({ level: 'debug', format: 'json', clock, write: (text) => void (logged += text) }, {});
    east = await testCluster(root, { name: 'east', id: 1 }, clock, log);
    west = await testCluster(root, { name: 'west', id: 2 }, clock, log);
  });
  afterEach(async () => {
    await east[Symbol.asyncDispose]();
    await west[Symbol.asyncDispose]();
    rmSync(root, { recursive: true, force: true });
  });
}

export const inviteWest = (options: Partial<InviteOptions> = {}): Promise<InvitationBundle> =>
  invite(east.folder, { name: 'west', id: 2, nowMs: clock.now(), validForMs: hour, ...options });
export const accept = (bundle: InvitationBundle, by = west): Promise<unknown> =>
  acceptInvitation(by.folder, bundle, { clock, signal });
/** Time in which nobody sleeps. */
export const hasty = (): Clock => ({
  now: () => clock.now(),
  monotonicMs: () => clock.monotonicMs(),
  timer: (ms, run) => clock.timer(ms, run),
  sleep: () => Promise.resolve(),
});
/** What each shows is what the other one lets in. */
export const areKnownToEachOther = async (): Promise<void> => {
  for (const [own, other] of [
    [east, west],
    [west, east],
  ] as const) {
    const shown = await own.folder.credentialsFor(other.folder.own.name);
    const { fingerprint256 } = new X509Certificate(shown?.certificate ?? '');
    expect(readFileSync(other.folder.paths.usersFile, 'utf8')).toContain(fingerprint256);
    expect(existsSync(configFiles(own.folder.paths.configFolder, other.folder.own.name).config)).toBe(true);
    await exchangeWith(own.folder, other.folder.own.name, { clock: hasty(), signal });
  }
};
/** Code of the error that a promise ends with. */
export const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
    return 'none';
  } catch (error) {
    return String((error as { readonly code?: unknown }).code);
  }
};
export const enrol = (bundle: InvitationBundle, body: Readonly<Record<string, unknown>>): Promise<unknown> =>
  askPeer({ cluster: 'east', enrolment: bundle.enrolment, authorities: bundle.authorities }, '/v1/enrol', body, clock);
/** What a good client sends. */
export const good = async (
  bundle: InvitationBundle,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<Readonly<Record<string, unknown>>> => {
  const authority = new TestAuthority('authority of west');
  return {
    invitation: bundle.invitation,
    token: bundle.token,
    cluster: {
      name: 'west',
      id: 2,
      maxConnectedClusters: 255,
      endpoints: ['https://w:1'],
      authorities: authority.cert,
    },
    request: await createRequest('remote-west', await createKey()),
    certificate: authority.issue({ commonName: 'remote-east', names: [] }).cert,
    ...changes,
  };
};
