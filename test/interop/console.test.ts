/**
 * The console of our vde_switch says what that of the original says: the same sessions at both, compared field by field.
 *
 * What is meant to differ is listed here, and nothing else does.
 */
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManagementSession } from '../fixtures/management.ts';
import { openTerminal } from '../fixtures/terminal.ts';
import {
  type BackgroundCommand,
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from './harness.ts';

interface Managed {
  readonly directory: string;
  readonly socket: string;
  readonly process: BackgroundCommand;
}

async function start(t: TestContext, program: string, args: readonly string[] = []): Promise<Managed> {
  const folder = makeTemporaryDirectory(t);
  const [directory, socket] = [join(folder, 'sw'), join(folder, 'mgmt')];
  const process = await spawnBackground(t, [program, '-s', directory, '-M', socket, ...args]);
  await waitFor(
    () => {
      if (process.hasExited()) throw new Error(`${program} ended: ${process.output()}`);
      return ManagementSession.open({ after: () => undefined }, socket).then(
        (session) => {
          session.finish();
          return true;
        },
        () => false,
      );
    },
    10_000,
    `a console at ${socket}`,
  );
  return { directory, socket, process };
}

/** Both, with the same arguments. */
async function startBoth(t: TestContext, args: readonly string[] = []): Promise<readonly [Managed, Managed]> {
  return Promise.all([start(t, original('vde_switch') ?? '', args), start(t, ours('vde_switch'), args)]);
}

/** Two banner lines, prompts and folders, which cannot be the same, made the same; and words that are for people. */
function normalized(text: string): string {
  return text
    .replace(/^VDE switch V\..*\n.*$/m, 'BANNER')
    .replace(/\/[^ ]*\/vdens-test-[^/]*/g, 'FOLDER')
    .replace(/\bpid[ =]\d+/g, 'pid N')
    .replace(/\b(80:00:)?00:ff(:[0-9a-f]{2}){4}\b/g, '$1MAC')
    .replace(/\buptime \d+/, 'uptime N')
    .replace(/\bage \d+/g, 'age N')
    .replace(/\b(FD|ID) +\d+/g, '$1 N')
    .replace(/^(\S+ +\d{3} (?:ON|OFF) +).*$/gm, '$1')
    .replace('9999 END OF SESSION', '')
    .replace(/ +$/gm, '');
}

/** `help` has a syntax for every command, and then words for people. */
function helpFields(text: string): string {
  return text.replace(/^(.{18} .{15} ).*$/gm, '$1');
}

/** Right and wrong, missing and surplus, beyond the limits; each depends on those before. */
const COMMANDS: readonly string[] = `
  showinfo|showinfoXX| \tshowinfo|ds/showinfo|ds|port|unknown|SHOWINFO|#comment||load|load /nonexistent/file
  debug/list|debug/list port|debug/list zz|plugin/list|plugin/add|plugin/del foo|hash/showinfo|hash/print|port/showinfo
  port/print|port/allprint|port/allprint 1|vlan/print|vlan/allprint|fstp/showinfo|fstp/print
  port/createauto|port/createauto 9|port/createautoX|port/create 5|port/create5|port/create7|port/create 5|port/create 0
  port/create 99|port/create 31|port/create -1|port/create  12  13|port/createauto|port/allprint|port/allprint 5
  port/print 5|port/print 0|port/print 99|port/print -1
  port/allocatable|port/allocatable 5|port/allocatable 5 1|port/allocatable 5 2|port/allocatable 5 0|port/allocatable 5 x
  port/allocatable x 1|port/allocatable 20 1|port/allocatable 99 1|port/allocatable 5 1 9
  port/setuser 5 root|port/setuser 5 1000|port/setuser 5 no-such-user|port/setuser 5 NONE|port/setuser 5 ANY
  port/setuser 5 none|port/setuser 5|port/setuser|port/setuser x root|port/setuser 20 root|port/setuser 99 root
  port/setuser 5 -1|port/setuser 5 70000|port/setuser 5 root x|port/allprint 5|port/setuser 5 root
  port/setgroup 5 root|port/allprint 5|port/setgroup 5 4|port/setgroup 5 ANY|port/allprint 5|port/setgroup 5 NONE
  port/setgroup 5 no-such|port/setgroup 20 root|port/setgroup 99 root|port/setgroup 5
  port/setvlan 5 0|port/setvlan 5 10|port/setvlan 5 4095|port/setvlan 5 4096|port/setvlan 5 -1|port/setvlan 5 x
  port/setvlan 5|port/setvlan|port/setvlan 20 0|port/setvlan 99 0|port/setvlan 5 4094
  port/epclose|port/epclose 5|port/epclose 5 3|port/epclose 20 3|port/epclose 99 3|port/epclose x x
  port/resetcounter|port/resetcounter 5|port/resetcounter 20|port/resetcounter 99|port/resetcounter -1
  port/remove 5|port/remove 5|port/remove 99|port/remove 0|port/remove 31
  port/setnumports |port/setnumports x|port/setnumports 0|port/setnumports -1|port/setnumports 5|port/setnumports 40
  port/showinfo|port/sethub 1|port/showinfo|fstp/showinfo|port/sethub 0|port/showinfo|port/create 256
  vlan/create|vlan/create x|vlan/create 0|vlan/create 1|vlan/create 1|vlan/create 4093|vlan/create 4094|vlan/create 4095
  vlan/create -1|vlan/create 10 11|vlan/create10|vlan/create12|vlan/print|vlan/print 10|vlan/print 99|vlan/print 5000
  vlan/print -1|vlan/addport|vlan/addport 10|vlan/addport 10 7|vlan/addport 10 7|vlan/addport 10 20|vlan/addport 10 99
  vlan/addport 99 7|vlan/addport 0 7|vlan/addport 5000 7|vlan/addport x 7|vlan/addport 10 x|vlan/addport 10 0
  vlan/addport 10 7 8|vlan/allprint|vlan/allprint 10|vlan/print|port/setvlan 7 10|vlan/allprint 10|port/setvlan 7 4095
  port/allprint 7|port/setvlan 7 1|vlan/addport 1 7|vlan/allprint|vlan/remove 1|vlan/remove 10|vlan/delport 10 7
  vlan/delport 1 7|vlan/delport 1 99|vlan/delport 99 7|vlan/delport 5000 7|vlan/delport|vlan/delport 10|vlan/remove 10
  vlan/remove 0|vlan/remove 5000|vlan/remove 4095|vlan/allprint
  hash/setsize |hash/setsize x|hash/setsize 0|hash/setsize -1|hash/setsize 100|hash/showinfo|hash/setsize 1|hash/showinfo
  hash/setsize 128|hash/setgcint 5|hash/setexpire 50|hash/setminper 4|hash/showinfo
  hash/find|hash/find x|hash/find 02:00:00:00:00:01|hash/find 02:00:00:00:00:01 0|hash/find 02:00:00:00:00:01 5000
  hash/find 02.00.00.00.00.01|hash/find 2:0:0:0:0:1|hash/find 02:00:00:00:00|hash/find 02-00-00-00-00-01
  hash/find zz:00:00:00:00:01
  fstp/setfstp 1|fstp/showinfo|fstp/print|fstp/print 0|fstp/print 12|fstp/print 99|fstp/print 5000
  fstp/setedge|fstp/setedge 0|fstp/setedge 0 7|fstp/setedge 0 7 1|fstp/setedge 12 7 1|fstp/setedge 0 20 1|fstp/setedge 0 99 1
  fstp/setedge 99 7 1|fstp/setedge 5000 7 1|fstp/setedge 0 7 2|fstp/setedge 0 7 x|fstp/setedge 0 7 0|fstp/setedge 0 -1 0
  fstp/bonus|fstp/bonus 0|fstp/bonus 0 7|fstp/bonus 0 7 100|fstp/bonus 0 20 100|fstp/bonus 0 99 100|fstp/bonus 99 7 100|fstp/bonus 5000 7 100
  fstp/bonus 0 7 x|fstp/bonus 0 7 -5|fstp/print|fstp/setfstp 0|fstp/print
  debug/add hash|debug/add hash|debug/add hash/+|debug/add x|debug/add /|debug/list|debug/del|debug/del hash/+|debug/del x
  debug/list
`
  .trim()
  .split(/\n *|\|/);

/** Where theirs is wrong, or takes anything for a number: what ours says instead. */
const BETTER: readonly (readonly [command: string, answer: RegExp])[] = [
  ['port/create', /^1022 /],
  ['port/create abc', /^1022 /],
  ['port/remove x', /^1022 /],
  ['port/resetcounter x', /^1022 /],
  ['port/sethub x', /^1022 /],
  ['vlan/remove', /^1022 /],
  ['vlan/print x', /^0000 .*\n\.\n1022 /],
  // Theirs refuses the VLAN that has always been there.
  ['vlan/allprint 0', /\nVLAN 0000\n.*1000 Success\n$/s],
  ['hash/setgcint', /^1022 /],
  ['hash/setexpire x', /^1022 /],
  ['fstp/setfstp', /\n1022 /],
  // Numbers can be typed as they are printed, or in hex. Theirs took 0012 for ten.
  ['vlan/create 0014', /^1000 /],
  ['vlan/create 0xf', /^1000 /],
  // The highest of the ports exists.
  ['port/create 32', /^1000 /],
  ['port/create 33', /^1022 /],
  // Theirs took what was left over for the next command.
  [`port/showinfo ${'x'.repeat(150)}`, /^1007 /],
];

test('the same commands have the same answers', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const [theirs, mine] = await startBoth(t);
  const [left, right] = await Promise.all([theirs, mine].map(({ socket }) => ManagementSession.open(t, socket)));
  assert.ok(left !== undefined && right !== undefined);
  for (const session of [left, right]) {
    // Two lines, an empty one, and a prompt without a newline.
    assert.match(await session.until(/\$ $/), /^VDE switch V\.\S+\n.*\n\nvde\$ $/);
  }
  const both = async (command: string): Promise<readonly string[]> => {
    return Promise.all([left.ask(command), right.ask(command)]);
  };
  for (const command of COMMANDS) {
    const [expected = '', actual = ''] = await both(command);
    assert.equal(normalized(actual), normalized(expected), command);
  }
  for (const command of ['help', 'help port', 'help port/', 'help vlan x', 'help h']) {
    const [expected = '', actual = ''] = await both(command);
    assert.equal(helpFields(actual), helpFields(expected), command);
  }
  // A file of commands, loaded by a command.
  const script = 'port/create 20\n# comment\nunknown\nvlan/create 20\nport/setvlan 20 20\nvlan/allprint 20';
  const file = join(makeTemporaryDirectory(t), 'commands');
  await runCommand(['sh', '-c', 'cat >"$1"', 'sh', file], { input: script });
  const [theirLoad = '', ourLoad = ''] = await both(`load ${file}`);
  assert.equal(normalized(ourLoad), normalized(theirLoad));
  assert.match(ourLoad, /\]: vlan\/allprint 20\n0000 DATA END WITH '\.'\nVLAN 0020\n -- Port 0020 tagged=0/);

  // Without a newline, or with several lines in one piece: theirs answers the first, ours each.
  for (const session of [left, right]) session.send('port/showinfo');
  for (const session of [left, right]) assert.match(await session.until(/\$ $/), /^0000 .*\nNumports=/);
  right.send('port/showinfo\nhash/showinfo\n');
  assert.match(await right.until(/Min persistence[^$]*\$ $/), /Numports=[^$]*\$ 0000 DATA/);

  for (const session of [left, right]) session.send('logout\n');
  assert.deepEqual(await Promise.all([left.rest(), right.rest()]), ['9999 END OF SESSION', '9999 END OF SESSION']);

  const [one, two] = await Promise.all([theirs, mine].map(({ socket }) => ManagementSession.open(t, socket)));
  for (const session of [one, two]) session?.send('shutdown\n');
  assert.match((await one?.rest()) ?? '', /\n\nvde\$ 9999 END OF SESSION$/);
  assert.match((await two?.rest()) ?? '', /\n\nvde\$ 9999 END OF SESSION$/);
  assert.deepEqual(await Promise.all([theirs.process.waitForExit(), mine.process.waitForExit()]), [
    { status: 0, signal: null },
    { status: 0, signal: null },
  ]);
});

test('what the original gets wrong is right', async (t) => {
  const { socket } = await start(t, ours('vde_switch'));
  const session = await ManagementSession.open(t, socket);
  await session.until(/\$ $/);
  for (const [command, answer] of BETTER) assert.match(await session.ask(command), answer, command);
});

test('who comes, speaks and leaves is told as the original tells it', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'vde_plug')) return;
  const frame = Buffer.concat([Buffer.from('003cffffffffffff0200000000010800', 'hex'), Buffer.alloc(46)]);
  const story = async ({ socket, directory }: Managed): Promise<string> => {
    const session = await ManagementSession.open(t, socket);
    await session.until(/\$ $/);
    assert.equal(await session.ask('debug/add'), '1000 Success\n');
    const argv = [original('vde_plug') ?? '', '--port=3', '-D', 'the client', directory];
    const client = await spawnBackground(t, argv);
    let told = await session.until(/3023 port\/descr .*\n/);
    client.write(frame);
    told += await session.until(/3011 hash\/\+ .*\n/);
    told += await session.ask('port/print');
    told += await session.ask('vlan/print');
    told += await session.ask('hash/print');
    told += await session.ask('fstp/print');
    client.endInput();
    await client.waitForExit();
    await waitFor(() => /port\/- /.test(session.text) && /hash\/- /.test(session.text), 10_000, 'the end of all');
    // Whether the station or its port is forgotten first does not matter.
    told += (await session.until(/(3.*\n){3}/)).split('\n').sort().join('\n');
    told += `${await session.ask('port/allprint')}${await session.ask('debug/del port')}`;
    return told;
  };
  const [theirs, mine] = await startBoth(t);
  const [expected, actual] = await Promise.all([story(theirs), story(mine)]);
  assert.equal(normalized(actual), normalized(expected));
  for (const line of [
    '3021 port/+ 03',
    '3031 port/ep/+ Port 03 FD N',
    '3011 hash/+ 02:00:00:00:00:01 VLAN 00:00 Port 3',
    '3012 hash/- 02:00:00:00:00:01 VLAN 00:00 Port 3',
    '3032 port/ep/- Port 03 FD N',
    '3022 port/- 03',
  ]) {
    assert.ok(normalized(actual).includes(line), `${line}\n${actual}`);
  }
  assert.match(actual, /^3023 port\/descr Port 03 FD +\d+ -> "the client user=\S+ pid=\d+"$/m);
  assert.match(actual, / -- endpoint ID \d{4} module unix prog {3}: the client user=/);
});

test('the console on standard input is the same one', async (t) => {
  if (!requireCommands(t, 'vde_switch')) return;
  const talk = async (program: string): Promise<string> => {
    const directory = join(makeTemporaryDirectory(t), 'sw');
    const running = await spawnBackground(t, [program, '-s', directory]);
    let text = '';
    for (const [command, end] of [
      ['showinfo', /1000 Success/],
      ['no such', /1038 Function/],
      ['port/print', /\.\n1000 Success/],
    ] as const) {
      const before = running.output().length;
      running.write(`${command}\n`);
      await waitFor(() => end.test(running.output().slice(before)), 10_000, `the answer to ${command}`);
      text += running.output().slice(before);
    }
    running.endInput();
    assert.deepEqual(await running.waitForExit(), { status: 0, signal: null });
    return text;
  };
  const [expected, actual] = await Promise.all([talk(original('vde_switch') ?? ''), talk(ours('vde_switch'))]);
  assert.equal(normalized(actual), normalized(expected));
});

test('unixterm and unixcmd drive it', async (t) => {
  if (!requireCommands(t, 'vde_switch', 'unixterm', 'unixcmd')) return;
  const [theirs, mine] = await startBoth(t);
  const drive = async ({ socket }: Managed): Promise<readonly string[]> => {
    const terminal = await spawnBackground(t, [original('unixterm') ?? '', socket]);
    await terminal.waitForOutput(/\$ $/);
    terminal.write('port/showinfo\n');
    await terminal.waitForOutput(/1000 Success\n\nvde\$ $/);
    terminal.write('logout\n');
    assert.deepEqual(await terminal.waitForExit(), { status: 0, signal: null });
    const command = async (...words: readonly string[]): Promise<string> => {
      const argv = [original('unixcmd') ?? '', '-s', socket, '-f', '/etc/vde2/vdecmd', ...words];
      const { stdout, status } = await runCommand(argv);
      return `${stdout}${status}`;
    };
    return [
      terminal.output(),
      await command('port/showinfo'),
      await command('vlan/create 5'),
      await command('vlan/create 5'),
      await command('vlan/print'),
    ].map(normalized);
  };
  const [expected, actual] = await Promise.all([drive(theirs), drive(mine)]);
  assert.deepEqual(actual, expected);
  assert.match(actual?.[1] ?? '', /^Numports=32\n.HUB=false\n/s);
});

test('vdeterm completes commands from its help, and shows answers', async (t) => {
  if (!requireCommands(t, 'vdeterm', 'tmux', 'bash')) return;
  const { socket } = await start(t, ours('vde_switch'));
  const terminal = await openTerminal(t, { SHELL: '/bin/sh' });
  await terminal.type(`cd ${dirname(socket)}; ${original('vdeterm')} mgmt`);
  await terminal.waitFor(/^VDE switch V\.\S+\n.*\n\nvde\[mgmt\]:$/m);
  await terminal.press('p', 'o', 'r', 't', '/', 's', 'h', 'Tab');
  await terminal.waitFor(/^vde\[mgmt\]: port\/showinfo$/m);
  await terminal.press('Enter');
  await terminal.waitFor(/^Numports=32\nHUB=false\ncounters=true\nSuccess\nvde\[mgmt\]:$/m);
  await terminal.type('vlan/create 0');
  await terminal.waitFor(/^Invalid argument\nvde\[mgmt\]:$/m);
  await terminal.type('logout');
  await terminal.waitFor(/^outer\$$/m);
});
