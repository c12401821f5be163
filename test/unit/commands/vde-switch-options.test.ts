/** What a command line of vde_switch asks for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  interpretVdeSwitchArguments,
  VDE_SWITCH_COMMAND_TABLE,
  type VdeSwitchRequest,
} from '../../../src/commands/vde-switch-options.ts';

function request(...argv: readonly string[]): VdeSwitchRequest {
  const action = interpretVdeSwitchArguments(argv);
  assert.ok(action.action === 'serve');
  return action;
}

test('without options it is the usual switch with a console', () => {
  const { path, ...rest } = request();
  assert.equal(path, process.geteuid?.() === 0 ? '/var/run/vde.ctl' : '/tmp/vde.ctl');
  assert.deepEqual(rest, {
    action: 'serve',
    isUsualPath: true,
    mode: 0o600,
    dirmode: undefined,
    group: undefined,
    numPorts: 32,
    hub: false,
    spanningTree: false,
    mac: undefined,
    priority: 0x8000,
    hashSize: 128,
    taps: [],
    isDaemon: false,
    pidFile: undefined,
    hasConsole: true,
    rcFile: undefined,
    management: undefined,
    managementAccess: { mode: 0o600, group: undefined },
  });
});

test('every form of a name means the same', () => {
  for (const option of ['-s', '-sock', '--sock', '--vdesock', '-vdesock', '--unix', '-unix', '--vdes', '-un']) {
    assert.equal(request(option, '/tmp/x').path, '/tmp/x', option);
  }
  for (const option of ['-s/tmp/x', '-sock=/tmp/x', '--unix=/tmp/x']) assert.equal(request(option).path, '/tmp/x');
  assert.equal(request('--mod', '644').mode, 0o644);
  assert.equal(request('-mode=644').mode, 0o644);
  assert.deepEqual(request('-xF', '-t', 'a', '--tap=b').taps, ['a', 'b']);
  assert.equal(request('-xF').hub && request('-xF').spanningTree, true);
  assert.equal(request('-nostdin').hasConsole, false);
  assert.equal(request('-n8').numPorts, 8);
});

test('the socket has the mode of the directory, unless it has its own', () => {
  assert.equal(request('--dirmode', '0770').mode, 0o660);
  assert.equal(request('--dirmode', '02711').mode, 0o600);
  assert.equal(request('--dirmode', '0770', '-m', '0600').mode, 0o600);
});

test('in the background there is no console on standard input', () => {
  const { isDaemon, hasConsole, pidFile } = request('-daemon', '-pidfile', 'x');
  assert.deepEqual({ isDaemon, hasConsole, pidFile }, { isDaemon: true, hasConsole: false, pidFile: 'x' });
});

test('addresses and sizes are brought into form', () => {
  assert.equal(request('--macaddr', '0:FF:1:2:3:4').mac, '00:ff:01:02:03:04');
  assert.equal(request('--macaddr', '00.ff.01.02.03.04').mac, '00:ff:01:02:03:04');
  assert.deepEqual(
    ['1', '2', '3', '100', '128', '129'].map((size) => request('--hashsize', size).hashSize),
    [1, 2, 4, 128, 128, 256],
  );
});

test('help and version win; a wrong line ends with status 1', () => {
  assert.deepEqual(interpretVdeSwitchArguments(['-x', '-h']), { action: 'help' });
  assert.deepEqual(interpretVdeSwitchArguments(['-version']), { action: 'version' });
  assert.equal(VDE_SWITCH_COMMAND_TABLE.usageStatus, 1);
  for (const argv of [
    ['x'],
    ['--hub=1'],
    ['-h=1'],
    ['-s', ''],
    ['--macaddr', '00:ff:01:02:03'],
    ['--mgmtmode', '1000'],
  ]) {
    assert.throws(() => interpretVdeSwitchArguments(argv), { code: 'ERR_USAGE' }, argv.join(' '));
  }
});
