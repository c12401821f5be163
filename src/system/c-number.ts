/** Numbers as C writes them, and the originals read them (strtol(3) with base 0). */

/** The number that the text is: decimal `16`, hexadecimal `0x10`, octal `020`; NaN when it is none. */
export function parseCNumber(text: string): number {
  if (!/^(0x[\da-f]+|0[0-7]*|[1-9]\d*)$/i.test(text)) return Number.NaN;
  return /^0\d/.test(text) ? Number.parseInt(text, 8) : Number(text);
}
