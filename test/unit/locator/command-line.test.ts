/** Commands written as one string. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VdensError } from '../../../src/errors.ts';
import { splitCommandLine } from '../../../src/locator/command-line.ts';

test('splits at white space and takes quotes off', () => {
  const table: readonly (readonly [string, readonly string[]])[] = [
    ['ssh host vde_plug', ['ssh', 'host', 'vde_plug']],
    ['  a\t b \n', ['a', 'b']],
    ["a 'b c' d", ['a', 'b c', 'd']],
    ['a "b  c"d', ['a', 'b  cd']],
    ["a ''", ['a', '']],
    ["a 'b\\'", ['a', 'b\\']],
    ['a "b\\"c"', ['a', 'b\\"c']],
    ['a\\ b', ['a b']],
    ["a 'b;$c' \\;", ['a', 'b;$c', ';']],
    ['a * > b | c &', ['a', '*', '>', 'b', '|', 'c', '&']],
    ['a $HOME b', ['a', '', 'b']],
    ['a $HOME/x', ['a', '/x']],
    ['a x$HOME', ['a', 'xHOME']],
    ['a \\$HOME', ['a', '$HOME']],
  ];
  for (const [line, words] of table) assert.deepEqual(splitCommandLine(line), words, line);
});

test('names what is wrong and what would be right', () => {
  const table: readonly (readonly [string, string])[] = [
    ['', 'the command "" names no command. Write one, for example: ssh host vde_plug'],
    ['  ', 'the command "  " names no command. Write one, for example: ssh host vde_plug'],
    ['$SHELL', 'the command "$SHELL" names no command. Write one, for example: ssh host vde_plug'],
    ["a 'b", "the command \"a 'b\" has a ' that is never closed. Close it, or write \\'"],
    ['a "b', 'the command "a "b" has a " that is never closed. Close it, or write \\"'],
    ['a "b\\"', 'the command "a "b\\"" has a " that is never closed. Close it, or write \\"'],
    ['a \\', 'the command "a \\" ends in a backslash. Write two, or take it away'],
    ['a\n\0', 'the command "a\\x0a\\x00" holds a NUL byte, which no word can. Leave it out'],
    [
      'a; b',
      `the command "a; b" holds a bare ";", but one command is all that can be run. To use a shell, write: sh -c 'one; two'`,
    ],
  ];
  for (const [line, message] of table) assert.throws(() => splitCommandLine(line), { code: 'ERR_COMMAND', message });
});

test('brings back every list of words whose characters are escaped one by one', () => {
  const word = fc.string({ unit: 'grapheme', minLength: 1 });
  fc.assert(
    fc.property(fc.array(word, { minLength: 1 }), (words) => {
      const escaped = words.map((text) => Array.from(text, (char) => `\\${char}`).join(''));
      assert.deepEqual(splitCommandLine(escaped.join(' ')), words);
      const quoted = words.map((text) => `'${text.replaceAll("'", `'"'"'`)}'`);
      assert.deepEqual(splitCommandLine(quoted.join('\t')), words);
    }),
  );
});

test('no line makes it throw anything but its own error', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab \t\'"\\;$'), maxLength: 20 }), (line) => {
      try {
        assert.ok(splitCommandLine(line).length > 0);
      } catch (error) {
        assert.ok(error instanceof VdensError && error.code === 'ERR_COMMAND', String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
