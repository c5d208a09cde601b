import { UsageError, defineOptions } from '../../runtime/options/index.ts';

/** For tools that are given a key or a prefix: arguments are text, keys need not be. */
export const keyOptions = defineOptions({
  base64: { type: 'boolean', help: 'The key or prefix is given in base64, as keyBase64 of -o json has it' },
});

/** Node has put this in the place of bytes that are no UTF-8, and does not tell which they were. */
const replacement = '\ufffd';

/** A key or prefix as it was meant. @throws {UsageError} for one that cannot be known from its argument */
export function bytesFrom(argument: string, { base64 }: { readonly base64: boolean }): Uint8Array {
  if (!base64) {
    if (!argument.includes(replacement)) return Buffer.from(argument);
    throw new UsageError('The key or prefix holds bytes that are no text', {
      hint: 'give it in base64, with --base64',
    });
  }
  const bytes = Buffer.from(argument, 'base64');
  if (bytes.toString('base64') === argument) return bytes;
  throw new UsageError(`Not base64: ${JSON.stringify(argument)}`, {
    hint: 'expected letters, digits, + and /, filled up with =',
  });
}
