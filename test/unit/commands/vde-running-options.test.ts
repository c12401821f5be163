/** Command lines of vde ls, vde top and vde exec. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interpretExec, VDE_EXEC_TABLE } from '../../../src/commands/vde-exec-options.ts';
import { interpretList, VDE_LS_TABLE } from '../../../src/commands/vde-ls-options.ts';
import { interpretTop, VDE_TOP_TABLE } from '../../../src/commands/vde-top-options.ts';

test('vde ls takes kinds, one or several of them, and options anywhere', () => {
  const ls = { action: 'ls', format: 'table', kinds: undefined };
  assert.deepEqual(interpretList([]), ls);
  assert.deepEqual(interpretList(['--json']), { ...ls, format: 'json' });
  assert.deepEqual(interpretList(['--names']), { ...ls, format: 'names' });
  assert.deepEqual(interpretList(['switches', 'namespace', '--json']), {
    ...ls,
    format: 'json',
    kinds: new Set(['switch', 'namespace']),
  });
  assert.deepEqual(interpretList(['-h']), { action: 'help', table: VDE_LS_TABLE });
  const known = 'Known are: namespaces, switches, gateways, cables, filters';
  for (const [argv, message] of [
    [['x'], `"x" is no kind of thing that runs. ${known}`],
    [['cabels'], '"cabels" is no kind of thing that runs. Did you mean: vde ls cables'],
    [
      ['--json', '--names'],
      '--json and --names do not go together. Give one of them. Options are listed by: vde ls --help',
    ],
  ] as const) {
    assert.throws(() => interpretList(argv), { code: 'ERR_USAGE', message });
  }
});

test('vde top takes names, and how often, how many and in which order', () => {
  const top = { action: 'top', names: [], count: undefined, intervalMs: 1000, sort: 'rate', isReversed: false };
  assert.deepEqual(interpretTop([]), top);
  assert.deepEqual(interpretTop(['web', '-n', '3', '42', '-i.5', '-s', 'dropped', '-r']), {
    ...top,
    names: ['web', '42'],
    count: 3,
    intervalMs: 500,
    sort: 'dropped',
    isReversed: true,
  });
  assert.deepEqual(interpretTop(['--help']), { action: 'help', table: VDE_TOP_TABLE });
  for (const argv of [
    ['-n', '-1'],
    ['-n', '1.5'],
    ['-n', ''],
    ['-i', '0'],
    ['-i', '0.01'],
    ['-i', '3601'],
    ['-i', '1s'],
    ['-s', 'up'],
  ]) {
    assert.throws(() => interpretTop(argv), { code: 'ERR_USAGE' }, argv.join(' '));
  }
});

test('vde exec takes a name and a command, whose options are its own', () => {
  const exec = { action: 'exec', name: 'web', command: undefined };
  assert.deepEqual(interpretExec(['web']), exec);
  assert.deepEqual(interpretExec(['web', 'ls', '-l', '--help']), { ...exec, command: ['ls', '-l', '--help'] });
  assert.deepEqual(interpretExec(['web', '--', 'ls', '--']), { ...exec, command: ['ls', '--'] });
  assert.deepEqual(interpretExec(['--', 'web', 'ls']), { ...exec, command: ['ls'] });
  assert.deepEqual(interpretExec(['-h', 'web']), { action: 'help', table: VDE_EXEC_TABLE });
  assert.throws(() => interpretExec([]), {
    code: 'ERR_USAGE',
    message: /^a name is missing, for example: vde exec web /,
  });
  assert.throws(() => interpretExec(['-x', 'web']), { code: 'ERR_USAGE', message: /^unknown option -x/ });
});
