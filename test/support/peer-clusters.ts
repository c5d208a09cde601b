import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type OwnMesh, PeerFolder } from '../../clustermesh/peers/folder/index.ts';
import { type EnrolmentServer, serveEnrolment } from '../../clustermesh/peers/enrolment/index.ts';
import { renewOwn } from '../../clustermesh/peers/renewal/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, silentLogger } from '../../runtime/log/index.ts';

const day = 86_400_000;

/** A cluster with its folder, whose enrolment is served on loopback. */
export interface TestCluster extends AsyncDisposable {
  readonly folder: PeerFolder;
  readonly server: EnrolmentServer;
}

export async function testCluster(
  root: string,
  own: Pick<OwnMesh, 'name' | 'id'> & Partial<OwnMesh>,
  clock: Clock,
  log: Logger = silentLogger,
): Promise<TestCluster> {
  const mesh = (enrolment: string | undefined): OwnMesh => ({
    maxConnectedClusters: 255,
    endpoints: [`https://${own.name}.example:2379`],
    enrolment,
    extraNames: [],
    namespace: 'kube-system',
    certificateLifetimeMs: 90 * day,
    authorityLifetimeMs: 3650 * day,
    authorityFolder: undefined,
    ...own,
  });
  const path = join(root, own.name);
  const first = await PeerFolder.create(path, mesh(undefined), clock);
  await renewOwn(first, { clock, log });
  const server = await serveEnrolment({ host: '127.0.0.1', port: 0 }, { folder: first, clock, log });
  const folder = await PeerFolder.create(
    path,
    mesh(own.enrolment ?? `https://127.0.0.1:${server.address.port}`),
    clock,
  );
  return { folder, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** Everything in a folder: names, modes and contents. */
export function stateHash(root: string): string {
  const hash = createHash('sha256');
  for (const file of filesIn(root)) {
    const { mode } = statSync(file);
    hash.update(`${relative(root, file)} ${mode.toString(8)}\n`).update(readFileSync(file));
  }
  return hash.digest('hex');
}

export function filesIn(root: string): readonly string[] {
  return readdirSync(root, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}
