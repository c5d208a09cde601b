import { type Decoded, int64, message, nested, unsignedId } from './message.ts';

/** In front of every answer: which store spoke, at which revision. */
export const responseHeader = message({
  clusterId: unsignedId(1),
  memberId: unsignedId(2),
  revision: int64(3),
  raftTerm: unsignedId(4),
});
export type ResponseHeader = Decoded<typeof responseHeader>;

export const header = nested(1, responseHeader);
