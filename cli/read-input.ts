import { createReadStream } from 'node:fs';
import { UsageError } from '../runtime/options/index.ts';
import type { CommandContext } from './command.ts';

/** More than any document that people hand to a command. */
const maxBytes = 4 * 1024 * 1024;

/** The text of a file, or of standard input for `-`. What is secret comes in so, never as an argument. */
export async function readInput(context: CommandContext, file: string): Promise<string> {
  const name = file === '-' ? 'Standard input' : file;
  const source = file === '-' ? context.stdin?.() : createReadStream(file, { signal: context.signal });
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of (source ?? []) as AsyncIterable<string | Uint8Array>) {
      const bytes = Buffer.from(chunk);
      size += bytes.length;
      if (size > maxBytes) throw new UsageError(`${name} has more than ${maxBytes} bytes`);
      chunks.push(bytes);
    }
  } catch (error) {
    // Node says so without the name.
    if (error instanceof Error && 'code' in error && error.code === 'EISDIR')
      throw new UsageError(`${name} is a directory: expected a file`);
    throw error;
  }
  return Buffer.concat(chunks).toString('utf8');
}
