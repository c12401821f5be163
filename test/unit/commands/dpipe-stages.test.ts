/** The language of dpipe: which words are commands, and which descriptors are joined. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Pipe, readPipeline } from '../../../src/commands/dpipe-stages.ts';
import { VdensError } from '../../../src/errors.ts';

/** `a.1>b.0`, in order of names: commands are named by their first word. */
function pipesOf(line: string): readonly string[] {
  const { commands, pipes } = readPipeline(line.split(' '));
  const end = ({ stage, fd }: Pipe['reader']): string => `${commands[stage]?.[0]}.${fd}`;
  return pipes.map(({ writer, reader }) => `${end(writer)}>${end(reader)}`).sort();
}

test('two commands are joined in both directions, more of them in a row by the alternate descriptors', () => {
  assert.deepEqual(pipesOf('a = b'), ['a.1>b.0', 'b.1>a.0']);
  assert.deepEqual(pipesOf('a = b = c'), ['a.1>b.0', 'b.1>a.0', 'b.4>c.0', 'c.1>b.3']);
  assert.deepEqual(pipesOf('a = b = c = d').slice(4), ['c.4>d.0', 'd.1>c.3']);
});

test('filters are put into one direction', () => {
  assert.deepEqual(pipesOf('a =} f }= b'), ['a.1>f.0', 'b.1>a.0', 'f.1>b.0']);
  assert.deepEqual(pipesOf('a ={ f {= b'), ['a.1>b.0', 'b.1>f.0', 'f.1>a.0']);
  assert.deepEqual(pipesOf('a =} f }=} g }= b'), ['a.1>f.0', 'b.1>a.0', 'f.1>g.0', 'g.1>b.0']);
  assert.deepEqual(pipesOf('a ={ f {={ g {= b'), ['a.1>b.0', 'b.1>g.0', 'f.1>a.0', 'g.1>f.0']);
  assert.deepEqual(pipesOf('a =} f }={ g {= b'), ['a.1>f.0', 'b.1>g.0', 'f.1>b.0', 'g.1>a.0']);
  const mixed = ['a.1>f.0', 'b.1>g.0', 'b.4>c.0', 'c.1>b.3', 'f.1>b.0', 'g.1>a.0'];
  assert.deepEqual(pipesOf('a =} f }={ g {= b = c'), mixed);
  assert.deepEqual(pipesOf('a = b =} f }= c'), ['a.1>b.0', 'b.1>a.0', 'b.4>f.0', 'c.1>b.3', 'f.1>c.0']);
});

test('a brace that closes nothing is a word like any other, and of a separator only the first characters count', () => {
  assert.deepEqual(readPipeline('a }= {x -p = b --'.split(' ')).commands, [
    ['a', '}=', '{x', '-p'],
    ['b', '--'],
  ]);
  assert.deepEqual(pipesOf('a =foo b'), ['a.1>b.0', 'b.1>a.0']);
  assert.deepEqual(pipesOf('a =}x f }=y b'), ['a.1>f.0', 'b.1>a.0', 'f.1>b.0']);
  assert.deepEqual(pipesOf('a =} f = g }= b'), ['a.1>f.0', 'b.1>a.0', 'f.1>g.0', 'g.1>b.0']);
});

test('what is no pipeline is an error that says why', () => {
  const table: readonly (readonly [string, RegExp])[] = [
    ['a', /one command only/],
    ['= a', /before "=" a command is missing/],
    ['a = = b', /before "=" a command is missing/],
    ['a =', /behind the last "=" a command is missing/],
    ['a =} f', /after "=}" has nothing behind it: "}="/],
    ['a ={ f', /after "={" has nothing behind it: "{="/],
    ['a =} f = b', /after "=}" has nothing behind it/],
    ['a =} f {= b', /after "=}" has nothing behind it/],
  ];
  for (const [line, message] of table) {
    assert.throws(
      () => readPipeline(line.split(' ')),
      (error) => error instanceof VdensError && error.code === 'ERR_USAGE' && message.test(error.message),
      line,
    );
  }
  assert.throws(() => readPipeline([]), /commands are missing/);
});
