import { StringDecoder } from 'node:string_decoder';

/** A whole body as text. @throws {RangeError} when it is longer than allowed. */
export async function readText(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > maxBytes) throw new RangeError(`The answer is longer than ${maxBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts, size).toString('utf8');
}

/** Lines of a body, in batches as they arrive; empty ones are left out, an unfinished last one is an error. */
export async function* readLines(
  body: AsyncIterable<Buffer>,
  maxLineBytes: number,
): AsyncGenerator<readonly string[], void, void> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const part of body) {
    const [first = '', ...others] = decoder.write(part).split('\n');
    if (others.length === 0) rest += first;
    else {
      const lines = [rest + first, ...others.slice(0, -1)].filter((line) => line !== '');
      rest = others.at(-1) ?? '';
      if (lines.length > 0) yield lines;
    }
    if (rest.length > maxLineBytes) throw new RangeError(`A line of the answer is longer than ${maxLineBytes} bytes`);
  }
  if (rest.trim() !== '') throw new Error('The answer ended in the middle of a line');
}
