/** Command lines of vde_plug. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interpretVdePlugArguments } from '../../../src/commands/vde-plug-options.ts';

const usual = {
  action: 'join',
  description: 'vdeplug:',
  daemon: false,
  pidFile: undefined,
  log: 'nothing',
};
const stream = { kind: 'stream' };

function end(word: string, access = {}): { readonly word: string; readonly access: object } {
  return { word, access };
}

function cableOf(first: string, second: string): object {
  return { ...usual, first: end(first), other: { kind: 'network', ...end(second) }, reconnect: true };
}

function commandOf(first: string, command: readonly string[]): object {
  return { ...usual, first: end(first), other: { kind: 'command', command }, reconnect: false };
}

test('reads what is at both ends', () => {
  const table: readonly (readonly [string[], unknown])[] = [
    [['-h'], { action: 'help' }],
    [['--version', 'x', 'y', 'z'], { action: 'version' }],
    [['slirp://', '/tmp/lan'], cableOf('slirp://', '/tmp/lan')],
    [['', 'null://'], cableOf('', 'null://')],
    [['--no-reconnect', '-D', 'up', 'a', 'b'], { ...cableOf('a', 'b'), description: 'up', reconnect: false }],
    [['--descr=', 'a', 'b'], cableOf('a', 'b')],
    [[], { ...usual, first: end(''), other: stream, reconnect: false }],
    [['a'], { ...usual, first: end('a'), other: stream, reconnect: false }],
    [['a', '=', 'ssh', '-p', '22', 'host'], commandOf('a', ['ssh', '-p', '22', 'host'])],
    [['=', 'cat', 'x', '='], commandOf('', ['cat', 'x', '='])],
    [['=ssh host', 'b'], cableOf('=ssh host', 'b')],
  ];
  for (const [argv, action] of table) assert.deepEqual(interpretVdePlugArguments(argv), action, argv.join(' '));
});

test('reads options before, between and after the networks, and leaves those of the command alone', () => {
  const ports = {
    first: end('a', { port: 3 }),
    other: { kind: 'network', ...end('b', { port: 4, group: 'lab', mode: 0o660 }) },
  };
  const table: readonly (readonly [string[], unknown])[] = [
    [['a', '-d', 'b', '-p', 'pid'], { ...cableOf('a', 'b'), daemon: true, pidFile: 'pid' }],
    [['-d', 'a', '=', 'x', '-d', '--', '-l'], { ...commandOf('a', ['x', '-d', '--', '-l']), daemon: true }],
    [['a', '=', '-h'], commandOf('a', ['-h'])],
    [['--', '-a', '=', 'x'], commandOf('-a', ['x'])],
    [['--port', '3', 'a', 'b', '--port2=4', '-G', 'lab', '-M', '660'], { ...cableOf('a', 'b'), ...ports }],
    [['-l', 'a', 'b'], { ...cableOf('a', 'b'), log: 'sessions' }],
    [['-lL', 'a', 'b'], { ...cableOf('a', 'b'), log: 'addresses' }],
    [['-c', 'vde_plug'], { ...usual, first: end(''), other: stream, reconnect: false, log: 'login' }],
    [['-c', 'rm -rf /'], { action: 'refuse-login' }],
  ];
  for (const [argv, action] of table) assert.deepEqual(interpretVdePlugArguments(argv), action, argv.join(' '));
});

test('names the wrong word', () => {
  const table: readonly (readonly [string[], RegExp])[] = [
    [['a', 'b', 'c'], /^"c" is one word too many/],
    [['a', '='], /^after "=" a command is missing/],
    [['-x', 'a', 'b'], /^unknown option -x\. Options are listed by: vde_plug --help$/],
    [['-D'], /^-D needs a value/],
    [['-d', 'a'], /^--daemon leaves no standard input for a stream/],
    [['--port2=3', 'a'], /^--port2 is for the second network, and there is only one/],
    [['-M', '660', 'a', '=', 'x'], /^--mod2 is for the second network/],
    [['--port', '0', 'a', 'b'], /^--port takes the number of a port, from 1 to 16777215, not "0"/],
    [['-g', '', 'a', 'b'], /^--group takes a group, by name or number, not nothing/],
    [['-m', '8', 'a', 'b'], /^--mod takes a mode in octal, from 0 to 777, not "8"/],
    [['-p', '', 'a', 'b'], /^--pidfile takes the name of a file, not nothing/],
  ];
  for (const [argv, message] of table) {
    assert.throws(() => interpretVdePlugArguments(argv), { code: 'ERR_USAGE', message }, argv.join(' '));
  }
});
