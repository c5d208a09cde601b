import { readFile } from 'node:fs/promises';
import { type EtcdTarget, type EtcdUser, openEtcdAdmin } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { UsageError } from '../../runtime/options/index.ts';
import { certificatesOf, factsOf } from '../../runtime/tls/index.ts';

/**
 * Whoever switches authentication on has to be somebody with every right then, and certificates have to count.
 * @throws {UsageError} otherwise
 */
export async function refuseLockingOut(target: EtcdTarget, users: readonly EtcdUser[], clock: Clock): Promise<void> {
  const { tls, username } = target;
  const certFile = tls?.certFile;
  const refuse = (problem: string, hint: string): UsageError =>
    new UsageError(`Authentication would lock you out: ${problem}`, { option: '--enable-auth', hint });
  if (username === undefined && certFile === undefined)
    throw refuse('this connection shows no certificate', 'name a configuration with cert-file and key-file: etcd:FILE');
  const name = username ?? commonNameOf(await readFile(certFile ?? ''));
  if (!users.some((user) => user.name === name && user.roles.includes('root')))
    throw refuse(
      `${JSON.stringify(name)}, who you are, has not the role root`,
      'connect with the certificate of root or of admin-<cluster>',
    );
  if (username === undefined && (await letsAnybodyIn(target, clock)))
    throw refuse(
      'this etcd takes clients without a certificate, so it does not look at who they are',
      'start it with --client-cert-auth and --trusted-ca-file',
    );
}

function commonNameOf(pem: Buffer): string {
  const [own] = certificatesOf(pem);
  return (own && factsOf(own).commonName) ?? '';
}

/** An etcd takes a name from a certificate only where it asks every client for one. */
async function letsAnybodyIn(target: EtcdTarget, clock: Clock): Promise<boolean> {
  const { certFile: _cert, keyFile: _key, ...tls } = target.tls ?? {};
  await using nobody = await openEtcdAdmin({ ...target, tls, clock });
  return await nobody.members().then(
    () => true,
    () => false,
  );
}
