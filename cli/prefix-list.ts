import { UsageError } from '../runtime/options/index.ts';
import { type Prefix, parsePrefix } from '../values/ip/index.ts';

/** The blocks that an option lists. @throws {UsageError} naming the option and the one that is none */
export function prefixesOf(option: string, texts: readonly string[]): Prefix[] {
  return texts.map((text) => {
    try {
      return parsePrefix(text);
    } catch (error) {
      throw new UsageError(`${option}: ${error instanceof Error ? error.message : String(error)}`, {
        option,
        hint: 'give a block without host bits, as 10.1.0.0/16',
      });
    }
  });
}
