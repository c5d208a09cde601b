import type { AuthorityState, OwnMesh, PeerFolder } from '../folder/index.ts';

/** Nothing can be told to a cluster that could not come. */
export class InviteError extends Error {
  override readonly name = 'InviteError';
  readonly code = 'PEER_INVITE';
  readonly hint: string;

  constructor(problem: string, hint: string) {
    super(problem);
    this.hint = hint;
  }
}

/** @throws {InviteError} where nobody could tell `name` how to reach our store */
export function requireEndpoints(own: OwnMesh, name: string): void {
  if (own.endpoints.length === 0)
    throw new InviteError(
      `${own.name} has no endpoint that could be told to ${name}`,
      'isthmus peer init --endpoint https://HOST:PORT says where others reach the store',
    );
}

/** Who signs here. @throws {InviteError} where nobody does */
export async function existingAuthority({ authority, own }: PeerFolder): Promise<AuthorityState> {
  const state = await authority.read();
  if (!state) throw new InviteError(`${own.name} has no authority`, 'isthmus peer init makes one');
  return state;
}
