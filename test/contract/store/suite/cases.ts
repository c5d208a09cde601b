import type { StoreContext } from './context.ts';

/** One test of the contract. */
export interface ContractCase {
  /** Id of the promise in docs/store-contract.md. */
  readonly promise: string;
  readonly title: string;
  /** Time has to pass in it: such cases of a chapter run side by side. */
  readonly patient: boolean;
  readonly run: () => Promise<void>;
}

/** Enters a case: what is owed by which promise. */
export type Owes = (promise: string, title: string, run: () => Promise<void>) => void;

/** Part of the contract: enters its cases, `patiently` those in which time has to pass. */
export type Chapter = (context: StoreContext, owes: Owes, patiently: Owes) => void;

/** The cases of a chapter for one store. */
export function casesOf(chapter: Chapter, context: StoreContext): readonly ContractCase[] {
  const cases: ContractCase[] = [];
  const entering =
    (patient: boolean): Owes =>
    (promise, title, run) =>
      void cases.push({ promise, title, patient, run });
  chapter(context, entering(false), entering(true));
  return cases;
}

/** In the place of `owes` for what a store does not promise; the same file says what it does instead. */
export function omitted(_promise: string, _title: string, _run: () => Promise<void>): void {
  // Nothing to run.
}
