import { readFile } from 'node:fs/promises';
import { reasonOf } from '../../../runtime/files/index.ts';
import { InvalidRequestError, PermissionDeniedError } from '../../contract/index.ts';

export interface TokenSource {
  readonly tokenFile?: string;
  readonly tokenEnvironment?: string;
}

/** The ACL token, from a file or the environment: never from arguments or URLs, and never in an error. */
export class Token {
  readonly #source: TokenSource;
  #value: string | undefined;
  #read = false;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  /** Where the token comes from, for people who have to look there. */
  get origin(): string {
    const { tokenFile, tokenEnvironment } = this.#source;
    if (tokenFile === undefined && tokenEnvironment === undefined) return 'no token is configured';
    const place = tokenFile ?? `the environment variable ${tokenEnvironment}`;
    return this.#value === undefined ? `there is no token in ${place}` : `the token is the one in ${place}`;
  }

  /** The token in use; undefined means anonymous. */
  async current(): Promise<string | undefined> {
    if (!this.#read) await this.#readAgain();
    return this.#value;
  }

  /**
   * Whether there is another one than the token that was refused: one that was read since for another call, or else what is read now.
   */
  async isReplaced(refused: string | undefined): Promise<boolean> {
    if (this.#value === refused) await this.#readAgain();
    return this.#value !== refused;
  }

  async #readAgain(): Promise<void> {
    const { tokenFile, tokenEnvironment } = this.#source;
    const text =
      tokenFile !== undefined
        ? await readFile(tokenFile, 'utf8').catch((error: unknown) => {
            throw new PermissionDeniedError(`Cannot read the token file ${tokenFile}: ${reasonOf(error)}`, {
              cause: error,
            });
          })
        : tokenEnvironment !== undefined
          ? process.env[tokenEnvironment]
          : undefined;
    const value = text?.trim() || undefined;
    if (value !== undefined && !/^[\x21-\x7e]+$/.test(value))
      throw new InvalidRequestError('The ACL token has characters that no header may have');
    this.#value = value;
    this.#read = true;
  }
}
