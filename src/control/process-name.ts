/** Names that users give to what runs. */

const MAX_NAME_LENGTH = 63;

/** Whether it can be such a name: it is one of a file, no option, and no pid. */
export function isProcessName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && /^(?![-.])[\w.-]+$/.test(text) && !/^\d+$/.test(text);
}

/** What is required of a name, in words that follow `which is`. */
export const NAME_RULE: string = `1 to ${MAX_NAME_LENGTH} letters and digits of ASCII, "_", "." and "-", begins with a letter, a digit or "_", not a number`;
