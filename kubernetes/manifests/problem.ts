import type { ProblemSubject } from '../objects/index.ts';

/** Something about one document; what it says of errors, the rest of the file was taken. */
export interface ManifestProblem {
  readonly file: string;
  /** Counted from 1 within the file. */
  readonly document: number;
  /** Dotted path of the member at fault; empty when the document is no YAML at all. */
  readonly field: string;
  /** Line in the file, where it is known. */
  readonly line?: number;
  readonly message: string;
  /** What the document describes, as far as that can be said. */
  readonly about?: ProblemSubject;
}
