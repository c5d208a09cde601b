/**
 * A text as one line of a terminal. Others write keys and values, and the words of an error quote them: they must neither
 * move the cursor nor look like lines of ours.
 */
export function shownLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const digits = (character.codePointAt(0) ?? 0).toString(16);
    return digits.length <= 2 ? `\\x${digits.padStart(2, '0')}` : `\\u{${digits}}`;
  });
}
