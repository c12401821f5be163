/**
 * Splits a command written as one string into words, as the original tools do for `=COMMAND` and `cmd://COMMAND`.
 *
 * It is no shell: no variables, wildcards, pipes or sequences. White space separates; single quotes keep
 * everything, double quotes too (a backslash in them stays, together with the character after it); outside
 * quotes a backslash keeps the next character. `$name` at the beginning of a word is a variable without a
 * value; a bare `$` within a word is dropped; a bare `;` is refused.
 */
import { printable, VdensError } from '../errors.ts';

const SHELL_REMEDY = "To use a shell, write: sh -c 'one; two'";

/**
 * The words of a command.
 *
 * @throws {VdensError} `ERR_COMMAND` when there is no command, a quote does not end, or a bare `;` or a NUL is found.
 */
export function splitCommandLine(line: string): string[] {
  if (line.includes('\0')) throw refused(line, 'holds a NUL byte, which no word can. Leave it out');
  const words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < line.length; i++) {
    const char = line[i]!;
    if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === "'" || char === '"') {
      const end = closingQuote(line, i);
      word = (word ?? '') + line.slice(i + 1, end);
      i = end;
    } else if (char === '\\') {
      if (i + 1 === line.length) throw refused(line, 'ends in a backslash. Write two, or take it away');
      word = (word ?? '') + line[i + 1];
      i += 1;
    } else if (char === ';') {
      throw refused(line, `holds a bare ";", but one command is all that can be run. ${SHELL_REMEDY}`);
    } else if (char === '$') {
      if (word === undefined) i += /^\w*/.exec(line.slice(i + 1))![0].length;
      word ??= '';
    } else {
      word = (word ?? '') + char;
    }
  }
  if (word !== undefined) words.push(word);
  if ((words[0] ?? '') === '') throw refused(line, 'names no command. Write one, for example: ssh host vde_plug');
  return words;
}

function closingQuote(line: string, start: number): number {
  const quote = line[start]!;
  for (let i = start + 1; i < line.length; i++) {
    if (line[i] === quote) return i;
    if (quote === '"' && line[i] === '\\') i += 1;
  }
  throw refused(line, `has a ${quote} that is never closed. Close it, or write \\${quote}`);
}

function refused(line: string, what: string): VdensError {
  return new VdensError('ERR_COMMAND', `the command "${printable(line)}" ${what}`, { value: line });
}
