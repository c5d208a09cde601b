/** Why an enrolment is refused, in one word that programs may act on. */
export type RefusalCode =
  | 'TOKEN_REFUSED'
  | 'TOKEN_USED'
  | 'TOKEN_EXPIRED'
  | 'TOO_MANY_ATTEMPTS'
  | 'NAME_DIFFERS'
  | 'CERTIFICATE_REFUSED'
  | 'REQUEST_REFUSED'
  | 'NOT_A_PEER'
  | 'PEER_LEFT'
  | 'BAD_REQUEST'
  | (string & {});

/** A refusal that the other side is told, with a status of HTTP. It names no secret. */
export class EnrolmentRefusal extends Error {
  override readonly name = 'EnrolmentRefusal';
  readonly code: RefusalCode;
  readonly status: number;

  constructor(code: RefusalCode, status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.status = status;
  }
}
