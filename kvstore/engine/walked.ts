import type { DeleteRangeRequest, PutRequest, RangeResponse, Reader } from '../contract/index.ts';
import type { Decided, DecidedOp } from './decide.ts';
import { engineErrors } from './engine-errors.ts';
import { rangeSteps } from './read.ts';
import type { View } from './row.ts';
import { Span } from './span.ts';
import { type Steps, atOnce, bytesOf } from './steps.ts';

/** A transaction that writes runs in one go, so that nobody writes in between: it must not look at more rows than this. */
export const maxWalkedRows = 20_000;

/** A reader is told again after so many. */
const toldBytes = 1024 ** 2;

/** What a transaction that writes has looked at. */
export class Walked {
  #rows = 0;

  run<T>(steps: Steps<T>): T {
    return atOnce(steps, (rows) => this.add(rows));
  }

  /** @throws {EngineError} when it is too much. */
  add(rows: number): void {
    this.#rows += rows;
    if (this.#rows > maxWalkedRows) throw engineErrors.tooManyRows(maxWalkedRows);
  }
}

/**
 * Reads what a transaction wants to read, before it writes: once it has begun to, nothing may fail any more. What it will
 * read again after a write of its own is read for its cost only; of the others this gives the answers. Deletions cost nothing, since
 * every row was somebody's put, unless they go over the same keys again.
 */
export function readBefore(
  view: View,
  decided: Decided,
  walked: Walked,
  reader?: Pick<Reader, 'took'>,
): (RangeResponse | undefined)[] {
  const answers: (RangeResponse | undefined)[] = [];
  const deleted: Span[] = [];
  let written = false;
  for (const op of inOrder(decided)) {
    if (reader && op.type !== 'range' && op.request.prevKv) tookBefore(view, op.request, reader);
    if (op.type === 'put') written = true;
    else if (op.type === 'delete') {
      written = true;
      const span = new Span(op.request);
      if (span.single) walked.add(1);
      else deleted.push(span);
    } else {
      const isOld = (op.request.revision ?? 0) > 0 && (op.request.revision ?? 0) < view.revision;
      const answer = walked.run(rangeSteps(view, op.request));
      answers.push(written && !isOld ? undefined : answer);
    }
  }
  if (deleted.length > 1) checkDeletions(view, deleted, walked);
  return answers;
}

/** Tells the reader of the bytes that a write shows of what was there before: the answer has them, and they are told while it may be refused. */
export function tookBefore(view: View, request: PutRequest | DeleteRangeRequest, reader: Pick<Reader, 'took'>): void {
  const span = new Span(request);
  const rows = span.single ? [view.get(request.key)] : view.range(span);
  let bytes = 0;
  for (const row of rows) {
    bytes += row ? bytesOf(row.kv) : 0;
    if (bytes < toldBytes) continue;
    reader.took(bytes);
    bytes = 0;
  }
  reader.took(bytes);
}

function* inOrder({ ops }: Decided): Generator<Exclude<DecidedOp, { readonly type: 'txn' }>, void, void> {
  for (const op of ops) {
    if (op.type === 'txn') yield* inOrder(op.decided);
    else yield op;
  }
}

function checkDeletions(view: View, spans: readonly Span[], walked: Walked): void {
  let once = 0;
  for (const span of united(spans)) once += atOnce(view.count(span));
  let again = -once;
  for (const span of spans) {
    again += atOnce(view.count(span));
    if (again > 0) {
      walked.add(again);
      again = 0;
    }
  }
}

/** Spans that hold every key that is in one of `spans`, each once. */
function united(spans: readonly Span[]): Span[] {
  const result: Span[] = [];
  for (const span of spans.toSorted((a, b) => Buffer.compare(a.start, b.start))) {
    const last = result.at(-1);
    if (!last || (last.end && Buffer.compare(last.end, span.start) < 0)) result.push(span);
    else if (last.end && (!span.end || Buffer.compare(last.end, span.end) < 0))
      result.splice(-1, 1, new Span({ key: last.start, rangeEnd: span.end ?? new Uint8Array([0]) }));
  }
  return result;
}
