/** Names from outside (paths, keys, tensor names) made safe to put into a one-line message. */

/**
 * The text on one line: control characters, line breaks and other invisible characters become `\u{…}`, and what is
 * longer than `limit` characters is cut in the middle.
 */
export function printable(text: string, limit = 300): string {
  const visible = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escapeCharacter);
  if (visible.length <= limit) return visible;
  const half = Math.floor((limit - 1) / 2);
  return `${visible.slice(0, half)}…${visible.slice(-half)}`;
}

/** As `printable`, between double quotes. */
export function quoted(text: string, limit?: number): string {
  return `"${printable(text, limit)}"`;
}

function escapeCharacter(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
