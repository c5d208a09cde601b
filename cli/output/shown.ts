const unshowable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * A text as one line of a terminal. Others write keys and values, and the words of an error quote them: they must neither
 * move the cursor nor look like lines of ours.
 */
export function shownLine(text: string): string {
  return text.replaceAll(unshowable, (character) => escapedCode(character.codePointAt(0) ?? 0));
}

/** A text as lines of a terminal: others write values, and must not move its cursor, colour it or turn its letters round. */
export function shownLines(text: string): string {
  return text.replaceAll(/[^\n\t]+/g, shownLine);
}

/** `\xNN`, or `\u{N…}` for what a byte does not hold. */
export function escapedCode(code: number): string {
  const digits = code.toString(16);
  return code < 0x100 ? `\\x${digits.padStart(2, '0')}` : `\\u{${digits}}`;
}
