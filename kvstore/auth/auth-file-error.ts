/** A file about users or authorities that cannot be meant: names file and field. */
export class AuthFileError extends Error {
  override readonly name = 'AuthFileError';
  readonly code = 'STORE_AUTH_FILE';
  readonly file: string;
  readonly field: string | undefined;

  constructor(file: string, field: string | undefined, problem: string, options?: ErrorOptions) {
    super(`${file}: ${field === undefined ? '' : `${field}: `}${problem}`, options);
    this.file = file;
    this.field = field;
  }
}
