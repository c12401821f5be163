/** Commands in what is read, however it is cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineBuffer, MAX_COMMAND_BYTES, TOO_LONG } from '../../../src/console/line-buffer.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

test('each line is a command, and what follows the last newline waits', () => {
  const buffer = new LineBuffer();
  assert.deepEqual(buffer.add(bytes('showinfo\nport/print 1\nlog')), ['showinfo', 'port/print 1']);
  assert.equal(buffer.hasRest, true);
  assert.deepEqual(buffer.add(bytes('out\n')), ['logout']);
  assert.equal(buffer.hasRest, false);
});

test('what waits can be taken as a command', () => {
  const buffer = new LineBuffer();
  assert.deepEqual(buffer.add(bytes('showinfo')), []);
  assert.equal(buffer.takeRest(), 'showinfo');
  assert.equal(buffer.hasRest, false);
});

test('a command has 128 bytes at most; a longer line is one error, and the next line is as good as ever', () => {
  const buffer = new LineBuffer();
  const longest = 'x'.repeat(MAX_COMMAND_BYTES);
  assert.deepEqual(buffer.add(bytes(`${longest}\n${longest}y\nnext\n`)), [longest, TOO_LONG, 'next']);
  for (let i = 0; i < 1000; i++) assert.deepEqual(buffer.add(bytes('a'.repeat(1000))), []);
  assert.deepEqual(buffer.add(bytes('\nnext\n')), [TOO_LONG, 'next']);
});

test('a comment may have any length', () => {
  const buffer = new LineBuffer();
  const [comment, ...others] = buffer.add(bytes(`  # ${'word '.repeat(1000)}\nnext\n`));
  assert.ok(typeof comment === 'string' && comment.startsWith('  # word'));
  assert.deepEqual(others, ['next']);
});

test('a NUL ends a command; other garbage is kept', () => {
  const buffer = new LineBuffer();
  assert.deepEqual(buffer.add(bytes('port/print\0garbage\n\0\n')), ['port/print', '']);
  const [garbage] = buffer.add(Uint8Array.of(0xff, 0xfe, 0x0a));
  assert.equal(typeof garbage, 'string');
});

test('where reads are cut makes no difference', () => {
  const line = fc.oneof(fc.stringMatching(/^[a-z/ #0-9]{0,140}$/), fc.constant(''));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 6 }), fc.array(fc.nat(80), { maxLength: 20 }), (lines, cuts) => {
      const text = Buffer.from(lines.map((each) => `${each}\n`).join(''));
      const whole = new LineBuffer().add(text);
      const buffer = new LineBuffer();
      const pieces: unknown[] = [];
      let start = 0;
      for (const cut of cuts) {
        pieces.push(...buffer.add(text.subarray(start, start + cut)));
        start += cut;
      }
      pieces.push(...buffer.add(text.subarray(start)));
      assert.deepEqual(pieces, whole);
      assert.equal(whole.length, lines.length);
    }),
  );
});
