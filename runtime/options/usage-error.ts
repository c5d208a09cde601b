/** The caller typed something that cannot be meant: names the option and what was expected. Exit code 2. */
export class UsageError extends Error {
  readonly code = 'USAGE';
  readonly exitCode = 2;
  /** The option at fault, `--data-dir`, when it is one. */
  readonly option: string | undefined;
  /** What cures it, in one line. */
  readonly hint: string | undefined;

  constructor(
    message: string,
    details: { readonly option?: string; readonly hint?: string; readonly cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'UsageError';
    this.option = details.option;
    this.hint = details.hint;
  }
}
