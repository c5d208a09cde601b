import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { type ContractCase, casesOf } from './cases.ts';
import { chaptersFor } from './chapters.ts';
import { StoreContext } from './context.ts';
import { defectsFor, whatFinds } from './defects.ts';
import { type Disturbance, type OpenStore, type StorePromises, allPromises } from './ports.ts';

export interface StoreTraits {
  /** What this store cannot promise. */
  readonly promises?: Partial<StorePromises>;
  /** What can be done to it: for each of these the opened store gives the means. */
  readonly disturbances?: readonly Disturbance[];
  /**
   * Chapters that another harness has shown for the same code: they run in full only (`ISTHMUS_CONTRACT=full`), as does
   * whatever in the other chapters has to wait for time to pass. Everything always runs where this is not given.
   */
  readonly shownElsewhere?: readonly string[];
  /** For starting real servers, which may have to be built first. */
  readonly openTimeoutMs?: number;
}

/**
 * The contract of `Store` (docs/store-contract.md): every implementation passes all of it. One store is opened for the
 * whole suite; each test uses a prefix of its own, and tests of one file run one after another. Says at the end how
 * many cases ran.
 */
export function describeStore(name: string, open: OpenStore, traits: StoreTraits = {}): void {
  const { openTimeoutMs = 60_000, promises = {}, disturbances = [], shownElsewhere } = traits;
  const lean = shownElsewhere !== undefined && process.env['ISTHMUS_CONTRACT'] !== 'full';
  describe(name, () => {
    const context = new StoreContext({ ...allPromises, ...promises });
    const chapters = chaptersFor(disturbances).map(({ title, chapter }) => ({
      title,
      cases: casesOf(chapter, context),
    }));
    const all = chapters.flatMap(({ cases }) => cases);
    const runs = (chapter: string): boolean => !lean || !shownElsewhere.includes(chapter);
    let run = 0;
    beforeAll(() => context.open(open), openTimeoutMs);
    afterAll(async () => {
      await context.close();
      const rest = lean ? '; all of them with ISTHMUS_CONTRACT=full' : '';
      process.stderr.write(`${name}: ${run} of ${all.length} cases of the store contract${rest}\n`);
    }, openTimeoutMs);

    for (const { title, cases } of chapters.filter((chapter) => runs(chapter.title)))
      describe(title, () => {
        for (const { promise, title: owed, run: body, patient } of cases)
          if (!patient)
            test(`${promise}: ${owed}`, async () => {
              run += 1;
              await body();
            });
        const patient = cases.filter((one) => one.patient);
        if (patient.length > 0 && !lean) describe('while time passes', () => sideBySide(patient, () => (run += 1)));
      });
    describe('defects that the suite must find', () => {
      for (const defect of defectsFor(context.promises, disturbances).filter(({ waits }) => !lean || !waits))
        test(`a store that ${defect.title}, by ${defect.promise}`, () => whatFinds(defect, all, context));
    });
  });
}

/** All begin at once, and each is a test that waits for its own end: time passes for them together. */
function sideBySide(cases: readonly ContractCase[], counted: () => void): void {
  const running: Promise<unknown>[] = [];
  beforeAll(() => {
    for (const { run } of cases)
      running.push(
        run().then(
          () => undefined,
          (error: unknown) => error ?? new Error('Failed without a reason'),
        ),
      );
  });
  for (const [i, { promise, title }] of cases.entries())
    test(`${promise}: ${title}`, async () => {
      counted();
      const error = await running[i];
      if (error !== undefined) throw error;
    });
}
