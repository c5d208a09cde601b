import { BytePool } from '../../kvstore/index.ts';
import { type IpScanner, suffixOf, suffixText } from '../wire/ip-scanner.ts';

const lastGuess = 65_535;

/**
 * What addresses have in common behind their metadata: namespace, workload, account, ports. Pods of one identity mostly are
 * of one workload: what was the rest of the last one of them is tried first, and spares scanning and seeking.
 */
export class RestPool {
  readonly #texts = new BytePool();
  /** By identity: the rest, plus one, of the last address that had it. Only a hint. */
  readonly #guesses = new Uint32Array(lastGuess + 1);

  /**
   * The rest of the value whose head the scanner has read, referred to once more; the scanner then has its suffix. −1 when
   * it is not in the known form.
   */
  scan(scanner: IpScanner, bytes: Uint8Array, identity: number): number {
    const place = (identity ^ (identity >>> 16)) & lastGuess;
    const guess = (this.#guesses[place] as number) - 1;
    if (guess >= 0 && this.#is(guess, scanner, bytes)) {
      this.#texts.retain(guess);
      return guess;
    }
    if (!scanner.scanRest(bytes)) return -1;
    const rest = this.acquire(scanner, bytes);
    this.#guesses[place] = rest + 1;
    return rest;
  }

  /** The rest that the scanner has found, referred to once more. */
  acquire({ restStart, cutStart, cutEnd, restEnd }: IpScanner, bytes: Uint8Array): number {
    return this.#texts.acquire(bytes, 0, restStart, cutStart, cutEnd, restEnd);
  }

  release(rest: number): void {
    this.#texts.release(rest);
  }

  text(rest: number, suffix: number): string {
    return this.#texts.head(rest) + suffixText(suffix) + this.#texts.tail(rest);
  }

  #is(rest: number, scanner: IpScanner, bytes: Uint8Array): boolean {
    const { restStart, restEnd } = scanner;
    const cut = this.#texts.startOfTail(rest, bytes, restStart, restEnd);
    if (cut < 0) return false;
    const start = restStart + this.#texts.lengthOfHead(rest);
    scanner.suffix = suffixOf(bytes, start, cut);
    // Behind a cut at least a quote and the brace follow. Where nothing does, nothing was cut: letters at the end are no
    // part of a name, but behind the object.
    return cut === restEnd ? start === cut : scanner.suffix !== 0;
  }
}
