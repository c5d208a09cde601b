import { parseDocument } from 'yaml';

/**
 * Reads YAML that may hold secrets. What is wrong with it is told by its kind and place alone: the parser quotes the lines
 * around, and takes an unquoted password that begins with `*`, `|` or `!` for a name, which it repeats.
 * @throws {SyntaxError}
 */
export function parseQuietYaml(text: string): unknown {
  // It also warns of keys that are no texts, as `{{password}}` has one, by repeating them on standard error.
  const document = parseDocument(text, { logLevel: 'error' });
  // A warning too: a value whose tag is not known would be read as something else than was meant.
  const mistake = document.errors[0] ?? document.warnings[0];
  if (mistake) {
    const place = mistake.linePos?.[0];
    const where = place ? ` at line ${place.line}, column ${place.col}` : '';
    throw new SyntaxError(`not YAML: ${mistake.code.toLowerCase().replaceAll('_', ' ')}${where}`);
  }
  try {
    return document.toJS();
  } catch {
    throw new SyntaxError('not YAML: an alias leads nowhere; a text that begins with * has to be quoted');
  }
}
