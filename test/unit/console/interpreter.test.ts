/** Answers by a table. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ConsoleCommand, commandError, helpLines } from '../../../src/console/command.ts';
import { DEBUG_MENU, helpCommand, LOAD, LOGOUT, PLUGIN_MENU } from '../../../src/console/common-commands.ts';
import { DebugSelection } from '../../../src/console/debug.ts';
import { Interpreter, MAX_LOAD_DEPTH, MAX_SCRIPT_COMMANDS } from '../../../src/console/interpreter.ts';
import { MAX_COMMAND_BYTES, TOO_LONG } from '../../../src/console/line-buffer.ts';
import { errnoOf, statusLine } from '../../../src/console/status.ts';

const CATEGORIES = [
  { path: 'port/+', tag: '021', help: 'a port is new' },
  { path: 'port/-', tag: '022', help: 'a port is gone' },
  { path: 'hash/+', tag: '011', help: 'a station is known' },
];

const COMMANDS: readonly ConsoleCommand[] = [
  { path: 'thing', help: 'THINGS' },
  { path: 'thing/showall', help: 'show all', hasData: true, run: ({ print, argument }) => print(`all ${argument}`) },
  { path: 'thing/show', syntax: '[N]', help: 'show', hasData: true, run: ({ print }) => print('one') },
  {
    path: 'thing/fail',
    help: 'fail',
    hasData: true,
    run: ({ print }) => {
      print('before it failed');
      throw commandError('ENXIO', 'there is none');
    },
  },
  { path: 'quiet', help: 'say nothing', run: () => undefined },
  {
    path: 'broken',
    help: 'break',
    run: () => {
      throw new TypeError('a mistake of ours');
    },
  },
  { path: 'shutdown', help: 'end', run: () => 'shutdown' },
  LOGOUT,
  LOAD,
  ...DEBUG_MENU,
  ...PLUGIN_MENU,
  helpCommand(() => COMMANDS),
];

function ask(line: string | typeof TOO_LONG, selection = new DebugSelection(CATEGORIES)): string {
  let text = '';
  const write = (part: string): void => {
    text += part;
  };
  const after = new Interpreter('vde', COMMANDS).answer(line, { selection, write });
  return after === undefined ? text : `${text}<${after}>`;
}

test('a status line has the kernel number and the text of glibc', () => {
  assert.equal(statusLine(), '1000 Success');
  assert.equal(statusLine('EINVAL'), '1022 Invalid argument');
  assert.equal(statusLine('ENOSYS'), '1038 Function not implemented');
  assert.equal(statusLine('EADDRINUSE'), '1098 Address already in use');
  assert.equal(statusLine('ENOSUCH'), '1005 ENOSUCH');
  assert.equal(errnoOf(commandError('ENXIO', '')), 'ENXIO');
  assert.equal(errnoOf(new Error('anything')), 'EIO');
});

test('a command is the first whose path the line begins with; what follows is its argument', () => {
  assert.equal(ask('thing/show'), "0000 DATA END WITH '.'\none\n.\n1000 Success\n");
  assert.equal(ask('thing/showXX'), "0000 DATA END WITH '.'\none\n.\n1000 Success\n");
  assert.equal(ask('thing/showall5  '), "0000 DATA END WITH '.'\nall 5\n.\n1000 Success\n");
  assert.equal(ask(' \t quiet\r'), '1000 Success\n');
});

test('a heading, an unknown word and capitals are no commands', () => {
  for (const line of ['thing', 'thing/', 'nothing', 'QUIET', '\u00ff\u0001']) {
    assert.equal(ask(line), '1038 Function not implemented\n', line);
  }
});

test('comments and empty lines have no answer', () => {
  for (const line of ['', '   ', '#', '  # quiet', '\t']) assert.equal(ask(line), '', JSON.stringify(line));
});

test('what goes wrong is in the status, after the data', () => {
  assert.equal(ask('thing/fail'), "0000 DATA END WITH '.'\nbefore it failed\n.\n1006 No such device or address\n");
  assert.equal(ask('broken'), '1005 Input/output error\n');
  assert.equal(ask(TOO_LONG), '1007 Argument list too long\n');
});

test('logout and shutdown have no status', () => {
  assert.equal(ask('logout'), '<logout>');
  assert.equal(ask('shutdownnow'), '<shutdown>');
});

test('help has the columns of the originals, and shows what begins with its argument', () => {
  const lines = helpLines(COMMANDS, 'thing');
  assert.deepEqual(lines.slice(0, 5), [
    'COMMAND PATH       SYNTAX          HELP',
    '------------       --------------  ------------',
    'thing              ============    THINGS',
    'thing/showall                      show all',
    'thing/show         [N]             show',
  ]);
  assert.equal(helpLines(COMMANDS, 'zz').length, 2);
  assert.match(ask('help thing/'), /^0000 DATA END WITH '\.'\nCOMMAND PATH {7}SYNTAX/);
});

test('there are no plugins, and it is said why', () => {
  assert.match(ask('plugin/list'), /^0000 DATA END WITH '\.'\nNAME .*\n-+ .*\n\.\n1002 No such file or directory\n$/);
  assert.equal(ask('plugin/add'), '1022 Invalid argument\n');
  assert.match(ask('plugin/add pdump.so'), /^0000 .*\nplugins of the original.*\n\.\n1002 /);
  assert.equal(ask('plugin/del pdump'), '1002 No such file or directory\n');
});

test('a session is told of what it asked for', () => {
  const selection = new DebugSelection(CATEGORIES);
  assert.equal(selection.lineFor('port/+', '07'), undefined);
  assert.equal(ask('debug/add port', selection), '1000 Success\n');
  assert.equal(ask('debug/add port/+', selection), '1017 File exists\n');
  assert.equal(ask('debug/add nothing', selection), '1022 Invalid argument\n');
  assert.equal(selection.lineFor('port/+', '07'), '3021 port/+ 07');
  assert.equal(selection.lineFor('hash/+', 'x'), undefined);
  assert.match(ask('debug/list port', selection), /^port\/\+ {17}021 ON {5}a port is new$/m);
  assert.match(ask('debug/list zz', selection), /\.\n1002 No such file or directory\n$/);
  assert.equal(ask('debug/add', selection), '1000 Success\n');
  assert.equal(selection.lineFor('hash/+', 'x'), '3011 hash/+ x');
  assert.equal(ask('debug/del port/-', selection), '1000 Success\n');
  assert.equal(ask('debug/del port/-', selection), '1002 No such file or directory\n');
  assert.equal(ask('debug/del x', selection), '1022 Invalid argument\n');
});

test('a file of commands is echoed, each with its answer', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'vdens-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const inner = file('inner', 'thing/show');
  const outer = file(
    'outer',
    `quiet\n\n# comment\nnone\r\nload ${inner}\nlogout\n${'x'.repeat(MAX_COMMAND_BYTES + 1)}\n`,
  );
  assert.equal(
    ask(`load ${outer}`).replaceAll(folder, ''),
    [
      'vde[/outer]: quiet',
      '1000 Success',
      'vde[/outer]: ',
      'vde[/outer]: # comment',
      'vde[/outer]: none',
      '1038 Function not implemented',
      'vde[/outer]: load /inner',
      'vde[/inner]: thing/show',
      "0000 DATA END WITH '.'",
      'one',
      '.',
      '1000 Success',
      '1000 Success',
      'vde[/outer]: logout',
      'vde[/outer]: ...',
      '1007 Argument list too long',
      '1000 Success',
      '',
    ].join('\n'),
  );
  const interpreter = new Interpreter('vde', COMMANDS);
  assert.deepEqual(interpreter.run(outer), [
    `${outer}, line 4: none: 1038 Function not implemented`,
    `${outer}, line 7: ...: 1007 Argument list too long`,
  ]);
  assert.throws(() => interpreter.run(`${folder}/nothing`), {
    code: 'ERR_USAGE',
    message: `${folder}/nothing: cannot run the commands in it: 1002 No such file or directory`,
  });

  assert.equal(ask('load'), '1002 No such file or directory\n');
  assert.equal(ask(`load ${folder}/nothing`), '1002 No such file or directory\n');
  assert.equal(ask(`load ${folder}`), '1021 Is a directory\n');
  assert.equal(ask('load /dev/zero'), '1022 Invalid argument\n');

  const self = join(folder, 'self');
  writeFileSync(self, `load ${self}\n`.repeat(2));
  const deep = ask(`load ${self}`);
  assert.ok(deep.includes('1040 Too many levels of symbolic links'));
  assert.equal(deep.split('\n').filter((line) => line.startsWith('vde[')).length, 2 ** (MAX_LOAD_DEPTH + 1) - 2);
  const many = file('many', '#\n'.repeat(MAX_SCRIPT_COMMANDS + 1));
  assert.ok(ask(`load ${many}`).endsWith('1027 File too large\n'));
  mkdirSync(join(folder, 'with blank'));
  file('with blank/rc', 'quiet\n');
  assert.match(ask(`load ${folder}/with blank/rc`), /: quiet\n1000 Success\n1000 Success\n$/);
});
