/** Counts of one test file in one run. */
export interface SuiteCounts {
  readonly file: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Full names of the tests that failed. */
  readonly failures: readonly string[];
}
export declare const mostFiles: number;
export declare function filesToRepeat(first: readonly SuiteCounts[]): string[];
export declare function total(
  first: readonly SuiteCounts[],
  second: readonly SuiteCounts[],
): { readonly passed: number; readonly failed: number; readonly skipped: number; readonly unsteady: readonly string[] };
