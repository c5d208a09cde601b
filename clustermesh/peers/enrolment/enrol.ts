import type { Clock } from '../../../runtime/clock/index.ts';
import { fields, type Logger } from '../../../runtime/log/index.ts';
import {
  type Invitation,
  PeerConflictError,
  PeerDocumentError,
  type PeerFolder,
  type PeerRecord,
  refuseConflict,
} from '../folder/index.ts';
import { serverNameOf } from '../certificates/index.ts';
import { Attempts } from './attempts.ts';
import { introduce } from './introduce.ts';
import { type EnrolRequest, type ExchangeAnswer, readEnrolRequest } from './messages.ts';
import { EnrolmentRefusal } from './refusal.ts';
import { certificateFor, requestOf, signForPeer } from './signing.ts';
import { isToken, tokenHashOf } from './token.ts';

/** An invitation is withdrawn after so many attempts with a wrong token or under a wrong name. */
const maxFailures = 10;

export interface EnrolmentDependencies {
  readonly folder: PeerFolder;
  readonly clock: Clock;
  readonly log: Logger;
  readonly attempts?: Attempts;
}

/** Lets in who was invited: once, under the name and id of the invitation. */
export class Enrolment {
  readonly #folder: PeerFolder;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #attempts: Attempts;

  constructor({ folder, clock, log, attempts }: EnrolmentDependencies) {
    this.#folder = folder;
    this.#clock = clock;
    this.#log = log;
    this.#attempts = attempts ?? new Attempts(clock);
  }

  /** Answers `POST /v1/enrol`. @throws {EnrolmentRefusal} {@link PeerConflictError} {@link PeerDocumentError} */
  async enrol(body: unknown, address: string): Promise<ExchangeAnswer> {
    if (!this.#attempts.mayTry(address))
      throw new EnrolmentRefusal('TOO_MANY_ATTEMPTS', 429, 'Too many failed attempts; try again in a minute');
    try {
      return await this.#enrol(readEnrolRequest(body));
    } catch (error) {
      const isTheirs =
        error instanceof EnrolmentRefusal || error instanceof PeerConflictError || error instanceof PeerDocumentError;
      if (isTheirs) {
        this.#attempts.failed(address);
        this.#log.warn('A cluster was not let in', { address, code: error.code, [fields.error]: error.message });
      }
      throw error;
    }
  }

  async #enrol(request: EnrolRequest): Promise<ExchangeAnswer> {
    const folder = this.#folder;
    return await folder.change(async () => {
      const peers = await folder.peers();
      const accepted = peers.find(({ invitation }) => invitation?.id === request.invitation);
      const invitation = await folder.invitation(request.invitation);
      // Also where there is none a token is compared, so that the time it takes says nothing.
      const { tokenHash } = accepted?.invitation ?? invitation ?? { tokenHash: tokenHashOf('') };
      const isRight = isToken(request.token, tokenHash);
      if (accepted) {
        if (!isRight) throw tokenRefused();
        return await this.#again(request, accepted);
      }
      if (!invitation) throw tokenRefused();
      if (!isRight) throw await this.#failed(invitation, tokenRefused());
      return await this.#letIn(request, invitation, peers);
    });
  }

  async #letIn(request: EnrolRequest, invitation: Invitation, peers: readonly PeerRecord[]): Promise<ExchangeAnswer> {
    const folder = this.#folder;
    const nowMs = this.#clock.now();
    const { cluster } = request;
    if (nowMs >= invitation.expiresMs)
      throw new EnrolmentRefusal(
        'TOKEN_EXPIRED',
        403,
        `The invitation has expired; ${cluster.name} has to be invited again`,
      );
    if (cluster.name !== invitation.name || cluster.id !== invitation.clusterId) {
      const was = `${invitation.name} with id ${invitation.clusterId}`;
      const words = `The invitation is for ${was}, not for ${cluster.name} with id ${cluster.id}`;
      throw await this.#failed(invitation, new EnrolmentRefusal('NAME_DIFFERS', 403, words));
    }
    refuseConflict(cluster, folder.own, { peers });
    const { publicKey, keyHash } = await requestOf(cluster.name, request.request);
    const { privateKey } = invitation;
    const { authorities } = cluster;
    const ours = certificateFor(request.certificate, { own: folder.own.name, privateKey, authorities, nowMs });
    const { certificate, admitted } = await signForPeer(folder, cluster.name, publicKey, nowMs);
    const answer = { cluster: await introduce(folder), certificate };
    await folder.putPeer(
      {
        name: cluster.name,
        id: cluster.id,
        kind: 'isthmus',
        endpoints: cluster.endpoints,
        serverName: serverNameOf(cluster.name),
        enrolment: cluster.enrolment,
        allowedCidrs: undefined,
        maxConnectedClusters: cluster.maxConnectedClusters,
        authorities,
        admitted: [admitted],
        // It has those of the bundle; what has come since is told by the first exchange.
        trusts: [],
        sinceMs: nowMs,
        seenMs: nowMs,
        invitation: { id: invitation.id, tokenHash: invitation.tokenHash, keyHash, certificate },
      },
      { privateKey, certificate: ours },
    );
    await folder.removeInvitation(invitation.id);
    this.#log.info('A cluster has become a peer', { [fields.cluster]: cluster.name, id: cluster.id });
    return answer;
  }

  /**
   * The invitation was accepted already. The same cluster with the same key did not hear of it: it gets the same answer,
   * and we come from now on with what it has signed this time, since it knows nothing of the first.
   */
  async #again(request: EnrolRequest, peer: PeerRecord): Promise<ExchangeAnswer> {
    const folder = this.#folder;
    const { cluster } = request;
    const { keyHash } = await requestOf(cluster.name, request.request);
    const used = peer.invitation;
    // Whoever has come with its certificate since has heard of it, and the token is worth nothing any more.
    const isSettled = peer.trusts.length > 0;
    if (!used || isSettled || keyHash !== used.keyHash || cluster.name !== peer.name || cluster.id !== peer.id)
      throw new EnrolmentRefusal('TOKEN_USED', 403, 'The invitation was accepted already; a token works once');
    const { privateKey } = (await folder.credentialsFor(peer.name)) ?? (await folder.invitation(used.id)) ?? {};
    if (privateKey === undefined) throw new Error(`The key that belongs to ${peer.name} is missing`);
    const nowMs = this.#clock.now();
    const { authorities, endpoints, enrolment, maxConnectedClusters } = cluster;
    const ours = certificateFor(request.certificate, { own: folder.own.name, privateKey, authorities, nowMs });
    const record = { ...peer, endpoints, enrolment, maxConnectedClusters, authorities, seenMs: nowMs };
    await folder.putPeer(record, { privateKey, certificate: ours });
    await folder.removeInvitation(used.id);
    return { cluster: await introduce(folder), certificate: used.certificate };
  }

  /** Counts a failure, and ends an invitation that somebody is trying out. */
  async #failed(invitation: Invitation, refusal: EnrolmentRefusal): Promise<EnrolmentRefusal> {
    const failures = invitation.failures + 1;
    if (failures < maxFailures) await this.#folder.putInvitation({ ...invitation, failures });
    else {
      await this.#folder.removeInvitation(invitation.id);
      this.#log.error('An invitation was withdrawn: somebody tries tokens', { [fields.cluster]: invitation.name });
    }
    return refusal;
  }
}

/** One answer to whatever does not fit, so that nobody learns which invitations there are. */
function tokenRefused(): EnrolmentRefusal {
  return new EnrolmentRefusal('TOKEN_REFUSED', 403, 'There is no open invitation with this token');
}
