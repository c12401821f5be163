/** Command lines of vde_plug. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interpretVdePlugArguments } from '../../../src/commands/vde-plug-options.ts';

const joined = { action: 'join', description: 'vde_plug', reconnect: true };
const stream = { kind: 'stream' };

test('reads what is at both ends', () => {
  const table: readonly (readonly [string[], unknown])[] = [
    [['-h'], { action: 'help' }],
    [['--version', 'x', 'y', 'z'], { action: 'version' }],
    [['slirp://', '/tmp/lan'], { ...joined, network: 'slirp://', other: { kind: 'network', word: '/tmp/lan' } }],
    [['', 'null://'], { ...joined, network: '', other: { kind: 'network', word: 'null://' } }],
    [
      ['--no-reconnect', '-D', 'uplink', 'a', 'b'],
      { ...joined, network: 'a', other: { kind: 'network', word: 'b' }, description: 'uplink', reconnect: false },
    ],
    [['--descr=', 'a', 'b'], { ...joined, network: 'a', other: { kind: 'network', word: 'b' } }],
    [[], { ...joined, network: '', other: stream, reconnect: false }],
    [['a'], { ...joined, network: 'a', other: stream, reconnect: false }],
    [
      ['a', '=', 'ssh', '-p', '22', 'host'],
      { ...joined, network: 'a', other: { kind: 'command', command: ['ssh', '-p', '22', 'host'] }, reconnect: false },
    ],
    [
      ['=', 'cat', 'x', '='],
      { ...joined, network: '', other: { kind: 'command', command: ['cat', 'x', '='] }, reconnect: false },
    ],
    [['=ssh host', 'b'], { ...joined, network: '=ssh host', other: { kind: 'network', word: 'b' } }],
  ];
  for (const [argv, action] of table) assert.deepEqual(interpretVdePlugArguments(argv), action, argv.join(' '));
});

test('names the wrong word, and what the original has and this one has not', () => {
  const table: readonly (readonly [string[], RegExp])[] = [
    [['a', 'b', 'c'], /^"c" is one word too many/],
    [['a', '='], /^after "=" a command is missing/],
    [['-x', 'a', 'b'], /^unknown option -x\. Options are listed by: vde_plug --help$/],
    [['-D'], /^-D needs a value/],
    [['-d', 'a', 'b'], /does not have the original's -d yet\. Let the shell/],
    [['--pidfile', '/tmp/pid', 'a', 'b'], /does not have the original's -p yet/],
    [['-lL', 'a'], /does not have the original's -l yet\. Options/],
    [['--port2=3', 'a', 'b'], /does not have the original's --port2 yet\. Write it into the network/],
    [['-c', 'vde_plug'], /does not have the original's -c yet/],
  ];
  for (const [argv, message] of table) {
    assert.throws(() => interpretVdePlugArguments(argv), { code: 'ERR_USAGE', message }, argv.join(' '));
  }
});
