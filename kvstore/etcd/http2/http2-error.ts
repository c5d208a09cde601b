/** The other side does not keep to HTTP/2; the connection ends by it. */
export class Http2Error extends Error {
  override readonly name = 'Http2Error';
  /** RFC 9113, section 7. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(`${message} (HTTP/2 error ${code})`);
    this.code = code;
  }
}
