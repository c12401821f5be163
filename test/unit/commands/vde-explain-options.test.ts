/** What a command line of `vde explain` asks for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interpretExplain } from '../../../src/commands/vde-explain-options.ts';

test('two words, and options before, between or after them', () => {
  const plain = { action: 'explain', a: 'web', b: '10.0.0.2', json: false, isProbed: true };
  assert.deepEqual(interpretExplain(['web', '10.0.0.2']), plain);
  for (const words of [
    ['--json', '--no-probe', 'web', '10.0.0.2'],
    ['web', '--no-probe', '10.0.0.2', '--json'],
  ]) {
    assert.deepEqual(interpretExplain(words), { ...plain, json: true, isProbed: false });
  }
  assert.equal(interpretExplain(['-h']).action, 'help');
});

test('a word too few or too many is said, with an example', () => {
  assert.throws(() => interpretExplain([]), {
    code: 'ERR_USAGE',
    message: /two words are missing, for example: vde explain/,
  });
  assert.throws(() => interpretExplain(['web']), { message: /one word is missing: where from web/ });
  assert.throws(() => interpretExplain(['a', 'b', 'c']), { message: /"c" is one word too many/ });
  assert.throws(() => interpretExplain(['--probe', 'a', 'b']), { code: 'ERR_USAGE' });
});
