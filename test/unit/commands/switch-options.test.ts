/** Command lines of `vde switch`. */
import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { test } from 'node:test';
import { parseOptions } from '../../../src/commands/parse-options.ts';
import { readSwitchRequest, type SwitchRequest } from '../../../src/commands/switch-options.ts';
import { VDE_SWITCH_TABLE } from '../../../src/commands/vde-options.ts';

function read(...argv: readonly string[]): Promise<SwitchRequest> {
  return readSwitchRequest(parseOptions(VDE_SWITCH_TABLE, argv));
}

const NOBODY_ELSE = { mode: undefined, dirmode: undefined, group: undefined, ownOnly: false };

test('without options it is what switch:// is', async () => {
  assert.deepEqual(await read('/tmp/lan'), {
    word: '/tmp/lan',
    path: '/tmp/lan',
    switch: { hub: false, tableSize: 256, hashSeed: 0 },
    permissions: NOBODY_ELSE,
    quiet: false,
  });
});

test('without a path it is the directory where the originals meet, which has to be ours', async () => {
  for (const argv of [[], ['switch://'], ['hub://[mode=0660]']]) {
    assert.equal((await read(...argv)).permissions.ownOnly, true, argv.join(' '));
  }
  const { word, path } = await read();
  assert.equal(path, `/tmp/vdenode_${userInfo().username}`);
  assert.equal(word, path);
});

test('reads every option, and gives it precedence over the locator', async () => {
  const locator = 'switch:///tmp/lan[mode=0666/dirmode=0777/grp=1/hashsize=16/hashseed=3/expiretime=9]';
  const inLocator = await read(locator);
  assert.deepEqual(inLocator.switch, { hub: false, tableSize: 16, hashSeed: 3, expireSeconds: 9 });
  assert.deepEqual(inLocator.permissions, { mode: 0o666, dirmode: 0o777, group: 1, ownOnly: false });
  const options = '--mode 0660 --dirmode 02750 --group 0 --table-size 4096 --table-seed 7 --expire 300 --ports 32 -q';
  assert.deepEqual(await read(...options.split(' '), locator), {
    word: locator,
    path: '/tmp/lan',
    switch: { hub: false, tableSize: 4096, hashSeed: 7, expireSeconds: 300, maxPorts: 32 },
    permissions: { mode: 0o660, dirmode: 0o2750, group: 0, ownOnly: false },
    quiet: true,
  });
});

test('a group goes by its name', async () => {
  assert.equal((await read('-g', 'root', '/tmp/lan')).permissions.group, 0);
});

test('a hub is asked for in four ways', async () => {
  for (const argv of [
    ['-x', '/tmp/lan'],
    ['--hub', 'switch:///tmp/lan'],
    ['hub:///tmp/lan'],
    ['/tmp/lan[hashsize=0]'],
  ]) {
    const request = await read(...argv);
    assert.equal(request.switch.hub, true, argv.join(' '));
    assert.equal(request.path, '/tmp/lan');
  }
});

const WRONG: readonly (readonly [argv: string, code: string, message: RegExp])[] = [
  ['--mode 99 /tmp/lan', 'ERR_USAGE', /^--mode: "99" is not a mode from 0 to 777, in octal, for example --mode 0660\./],
  ['--mode 1000 /tmp/lan', 'ERR_USAGE', /^--mode: "1000"/],
  ['--dirmode rwx /tmp/lan', 'ERR_USAGE', /^--dirmode: "rwx" is not a mode from 0 to 7777, .* --dirmode 02770\./],
  ['--group= /tmp/lan', 'ERR_USAGE', /^--group needs the name of a group, for example --group users\./],
  ['--group no.such /tmp/lan', 'ERR_LOCATOR', /^\/tmp\/lan: there is no group "no\.such"\. See: getent group$/],
  ['--table-size 0 /tmp/lan', 'ERR_USAGE', /^--table-size: "0" is not a number from 1 to 16777216\./],
  ['--table-seed -1 /tmp/lan', 'ERR_USAGE', /^--table-seed: "-1" is not a number from 0 to 2147483647\./],
  ['--expire 1.5 /tmp/lan', 'ERR_USAGE', /^--expire: "1\.5" is not a number from 1 to 2147483\./],
  ['--expire 0 /tmp/lan', 'ERR_USAGE', /^--expire: "0" is not a number from 1 to 2147483\./],
  ['--expire 2147484 /tmp/lan', 'ERR_USAGE', /^--expire: "2147484" is not a number from 1 to 2147483\./],
  ['/tmp/lan[expiretime=0]', 'ERR_LOCATOR', /: expiretime "0" is not a number from 1 to 2147483\. Write/],
  ['/tmp/lan[expiretime=2147484]', 'ERR_LOCATOR', /: expiretime "2147484" is not a number from 1 to 2147483\. Write/],
  ['--ports 4097 /tmp/lan', 'ERR_USAGE', /^--ports: "4097" is not a number from 1 to 4096\./],
  ['--ports', 'ERR_USAGE', /^--ports needs a value: --ports N\./],
  ['--sock /tmp/lan', 'ERR_USAGE', /^unknown option --sock\. Options are listed by: vde switch --help$/],
  ['--hub --expire 3 /tmp/lan', 'ERR_USAGE', /^--expire is for a switch, a hub has no table\./],
  ['--table-size 8 hub:///tmp/lan', 'ERR_USAGE', /^--table-size is for a switch/],
  [
    '/tmp/lan --hub',
    'ERR_USAGE',
    /^"--hub" after "\/tmp\/lan" .* options come before it: vde switch --hub \/tmp\/lan\./,
  ],
  ['/tmp/lan /tmp/two', 'ERR_USAGE', /^"\/tmp\/two" after "\/tmp\/lan" is one word too many, it takes one path\./],
  ['vde:///tmp/lan', 'ERR_USAGE', /^vde:\/\/\/tmp\/lan is not served by a switch\. Name a directory, switch:/],
  ['swich:///tmp/lan', 'ERR_LOCATOR', /Did you mean switch:\/\/\?$/],
  ['switch:///tmp/lan[mode=9]', 'ERR_LOCATOR', /the mode "9" is not one from 0 to 777/],
  ['switch:///tmp/lan[port=9]', 'ERR_LOCATOR', /unknown option "port"/],
];

for (const [argv, code, message] of WRONG) {
  test(`says what is wrong with: vde switch ${argv}`, async () => {
    await assert.rejects(async () => read(...argv.split(' ')), { code, message });
  });
}
