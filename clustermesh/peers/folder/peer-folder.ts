import { join, relative, resolve } from 'node:path';
import { stringify } from 'yaml';
import type { Clock } from '../../../runtime/clock/index.ts';
import { type CertificateFacts, certificatesOf, factsOf } from '../../../runtime/tls/index.ts';
import type { CertificateName, Credentials } from '../certificates/index.ts';
import { isCertificateName } from '../certificates/index.ts';
import { AuthorityFiles, trustedOf } from './authority.ts';
import { makeFolder, namesIn, putText, readText, remove, removeFolder } from './files.ts';
import { type Invitation, formatInvitation, parseInvitation } from './invitation.ts';
import { whileLocked } from './lock.ts';
import { type OwnMesh, formatOwnMesh, parseOwnMesh } from './own-cluster.ts';
import { type CertificatePaths, type PeerPaths, configFiles, peerPaths } from './paths.ts';
import { type PeerRecord, formatPeer, parsePeer } from './peer-record.ts';
import { type Revoked, formatRevoked, parseRevoked } from './revoked.ts';
import { clientConfigOf, usersFileOf } from './users-file.ts';

/** A folder that is none of ours. */
export class PeerFolderError extends Error {
  override readonly name = 'PeerFolderError';
  readonly code = 'PEER_FOLDER';
  readonly hint: string;

  constructor(folder: string, problem: string, hint: string) {
    super(`${folder} ${problem}`);
    this.hint = hint;
  }
}

/**
 * Everything about the own cluster's certificates and its peers, as files that only their owner reads. Records of peers
 * are what counts; the users of the store and the configuration directory follow from them and are put right by
 * {@link derive}. Reading needs no lock; whoever changes anything does so within {@link change}.
 */
export class PeerFolder {
  readonly paths: PeerPaths;
  readonly authority: AuthorityFiles;
  readonly #clock: Clock;
  #own: OwnMesh;

  /** @throws {PeerFolderError} where `isthmus peer init` has not been yet @throws {PeerDocumentError} */
  static async open(root: string, clock: Clock): Promise<PeerFolder> {
    const own = await readOwnMesh(root);
    if (own) return new PeerFolder(root, own, clock);
    throw new PeerFolderError(root, 'is no folder of certificates and peers', 'isthmus peer init makes one');
  }

  /** Makes the folder, or changes what it says of its own cluster. */
  static async create(root: string, own: OwnMesh, clock: Clock): Promise<PeerFolder> {
    const folder = new PeerFolder(root, own, clock);
    const { paths } = folder;
    for (const path of [paths.root, paths.authorityFolder, paths.certificatesFolder, paths.peersFolder])
      makeFolder(path);
    for (const path of [paths.invitationsFolder, paths.pendingFolder, paths.configFolder]) makeFolder(path);
    await putText(paths.ownFile, formatOwnMesh(own));
    return folder;
  }

  private constructor(root: string, own: OwnMesh, clock: Clock) {
    this.paths = peerPaths(resolve(root));
    this.#own = own;
    this.#clock = clock;
    this.authority = new AuthorityFiles(this.paths.authorityFolder, this.paths.trustedFile, own.authorityFolder);
  }

  /** What the own cluster says of itself. */
  get own(): OwnMesh {
    return this.#own;
  }

  /** Runs alone among all processes that change this folder. */
  async change<T>(run: () => Promise<T>): Promise<T> {
    return await whileLocked(this.paths.lockFile, this.#clock, async () => {
      this.#own = (await readOwnMesh(this.paths.root)) ?? this.#own;
      return await run();
    });
  }

  async peers(): Promise<readonly PeerRecord[]> {
    const names = (await namesIn(this.paths.peersFolder)).filter((name) => name.endsWith('.json'));
    const found = await Promise.all(names.map((name) => this.peer(name.slice(0, -'.json'.length))));
    return found.filter((peer) => peer !== undefined);
  }

  async peer(name: string): Promise<PeerRecord | undefined> {
    const file = this.#peerFile(name);
    const text = await readText(file);
    return text === undefined ? undefined : parsePeer(text, file);
  }

  /** Writes what we come with to a peer, its record, and whatever follows from both. */
  async putPeer(peer: PeerRecord, credentials?: Credentials): Promise<void> {
    await this.writePeer(peer, credentials);
    await this.derive();
  }

  /**
   * The same without what follows, for many at a time: {@link derive} is to be called then. The record last: where it
   * stands, nothing is missing that could not be derived.
   */
  async writePeer(peer: PeerRecord, credentials?: Credentials): Promise<void> {
    if (credentials) {
      const files = configFiles(this.paths.configFolder, peer.name);
      await putText(files.key, credentials.privateKey);
      await putText(files.cert, credentials.certificate);
    }
    await putText(this.#peerFile(peer.name), formatPeer(peer));
  }

  /** Forgets peers and everything that was kept for them. */
  async removePeer(...names: readonly string[]): Promise<void> {
    // First what lets agents and the peer in, last what tells that there is something left to be done.
    for (const name of names) {
      const { config, policy, key, cert, ca } = configFiles(this.paths.configFolder, name);
      for (const file of [config, policy, key, cert, ca]) await remove(file);
    }
    const left = (await this.peers()).filter((peer) => !names.includes(peer.name));
    await putText(this.paths.usersFile, await this.#usersOf(left));
    for (const name of names)
      for (const file of [this.#authorityFileOf(name), this.#pendingFile(name), this.#peerFile(name)])
        await remove(file);
  }

  /** Whether anything is kept for a cluster, peer or not. */
  async hasTraces(name: string): Promise<boolean> {
    const { config, policy, key, cert, ca } = configFiles(this.paths.configFolder, name);
    const files = [config, policy, key, cert, ca, this.#pendingFile(name), this.#peerFile(name)];
    for (const file of files) if ((await readText(file)) !== undefined) return true;
    return false;
  }

  /** What we come with to a peer; undefined while there is nothing. */
  async credentialsFor(name: string): Promise<Credentials | undefined> {
    const { key, cert } = configFiles(this.paths.configFolder, name);
    const [privateKey, certificate] = [await readText(key), await readText(cert)];
    return privateKey === undefined || certificate === undefined ? undefined : { privateKey, certificate };
  }

  /** Puts the users file and the configuration directory right by what the records say. */
  async derive(): Promise<void> {
    const peers = await this.peers();
    for (const peer of peers)
      if (peer.kind === 'declared') await putText(this.#authorityFileOf(peer.name), peer.authorities ?? '');
    await putText(this.paths.usersFile, await this.#usersOf(peers));
    const own = this.paths.certificate('remote');
    for (const peer of peers) {
      const files = configFiles(this.paths.configFolder, peer.name);
      if (peer.authorities !== undefined) await putText(files.ca, peer.authorities);
      const policy = {
        // Of a cluster that runs Cilium nobody but the operator has said it, if anybody.
        ...(peer.kind === 'cilium' ? {} : { clusterID: peer.id }),
        ...(peer.allowedCidrs === undefined ? {} : { allowedCIDRs: peer.allowedCidrs }),
      };
      if (Object.keys(policy).length === 0) await remove(files.policy);
      else await putText(files.policy, stringify(policy));
      const shown = peer.kind === 'declared' ? { key: own.keyFile, cert: own.certFile } : files;
      const isComplete = peer.endpoints.length > 0 && (await readText(shown.key)) !== undefined;
      if (isComplete && peer.authorities !== undefined)
        await putText(files.config, clientConfigOf(peer, { ca: files.ca, key: shown.key, cert: shown.cert }));
      else await remove(files.config);
    }
  }

  async invitations(): Promise<readonly Invitation[]> {
    const found: Invitation[] = [];
    for (const name of await namesIn(this.paths.invitationsFolder)) {
      const invitation = await this.invitation(name.replace(/\.json$/, ''));
      if (invitation) found.push(invitation);
    }
    return found;
  }

  /** Those that can still be accepted: others are removed in time, and promise nobody an id. */
  async openInvitations(nowMs: number): Promise<readonly Invitation[]> {
    return (await this.invitations()).filter(({ expiresMs }) => expiresMs >= nowMs);
  }

  async invitation(id: string): Promise<Invitation | undefined> {
    if (!/^[0-9a-f]{16}$/.test(id)) return undefined;
    const file = this.#invitationFile(id);
    const text = await readText(file);
    return text === undefined ? undefined : parseInvitation(text, file);
  }

  async putInvitation(invitation: Invitation): Promise<void> {
    await putText(this.#invitationFile(invitation.id), formatInvitation(invitation));
  }

  async removeInvitation(id: string): Promise<void> {
    await remove(this.#invitationFile(id));
  }

  /** A private key that waits for its certificate by that peer. */
  async pendingKey(peer: string): Promise<string | undefined> {
    return await readText(this.#pendingFile(peer));
  }

  async putPendingKey(peer: string, privateKey: string): Promise<void> {
    await putText(this.#pendingFile(peer), privateKey);
  }

  async removePendingKey(peer: string): Promise<void> {
    await remove(this.#pendingFile(peer));
  }

  /** Certificates of the own authority that are kept here. */
  async certificateNames(): Promise<readonly CertificateName[]> {
    return (await namesIn(this.paths.certificatesFolder)).filter((name) => isCertificateName(name));
  }

  /** What a certificate of ours says; undefined where there is none, or its key is missing. */
  async certificate(name: CertificateName): Promise<CertificateFacts | undefined> {
    const { certFile, keyFile } = this.paths.certificate(name);
    const text = await readText(certFile);
    if (text === undefined || (await readText(keyFile)) === undefined) return undefined;
    const [certificate] = certificatesOf(Buffer.from(text));
    return certificate && factsOf(certificate);
  }

  async putCertificate(name: CertificateName, { certificate, privateKey }: Credentials): Promise<CertificatePaths> {
    const paths = this.paths.certificate(name);
    makeFolder(paths.folder);
    await putText(paths.keyFile, privateKey);
    await putText(paths.certFile, certificate);
    return paths;
  }

  /** Certificates that were taken back, and until when that matters. */
  async revoked(): Promise<readonly Revoked[]> {
    const { revokedFile } = this.paths;
    const text = await readText(revokedFile);
    return text === undefined ? [] : parseRevoked(text, revokedFile);
  }

  /** Replaces the list, and what follows from it. */
  async putRevoked(list: readonly Revoked[]): Promise<void> {
    if (list.length === 0) await remove(this.paths.revokedFile);
    else await putText(this.paths.revokedFile, formatRevoked(list));
    await this.derive();
  }

  /** Forgets a certificate of ours. */
  async removeCertificate(name: CertificateName): Promise<void> {
    await removeFolder(this.paths.certificate(name).folder);
  }

  /** Whom those trust who hold certificates of ours. */
  async writeTrusted(): Promise<void> {
    const state = await this.authority.read();
    if (!state) return;
    await this.authority.writeTrusted(state);
    for (const name of await this.certificateNames())
      await putText(this.paths.certificate(name).caFile, trustedOf(state));
  }

  async #usersOf(peers: readonly PeerRecord[]): Promise<string> {
    const revoked = (await this.revoked()).map(({ fingerprint }) => fingerprint);
    return usersFileOf(peers, revoked, (peer) => relative(this.paths.root, this.#authorityFileOf(peer)));
  }

  #peerFile(name: string): string {
    return join(this.paths.peersFolder, `${name}.json`);
  }

  #authorityFileOf(name: string): string {
    return join(this.paths.peersFolder, `${name}.ca.crt`);
  }

  #invitationFile(id: string): string {
    return join(this.paths.invitationsFolder, `${id}.json`);
  }

  #pendingFile(peer: string): string {
    return join(this.paths.pendingFolder, `${peer}.key`);
  }
}

/** Undefined where there is none yet. @throws {PeerDocumentError} */
export async function readOwnMesh(root: string): Promise<OwnMesh | undefined> {
  const file = peerPaths(resolve(root)).ownFile;
  const text = await readText(file);
  return text === undefined ? undefined : parseOwnMesh(text, file);
}
