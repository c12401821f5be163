/** Port, port group, group and mode of vde:// locators. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLocator } from '../../../src/locator/locator.ts';
import { vdeAccessOptions, vdePortOption } from '../../../src/locator/vde-options.ts';

test('digits are a port, everything else is the name of a port group', () => {
  const table = [
    ['/s', { kind: 'any' }],
    ['/s[port=]', { kind: 'any' }],
    ['/s[3]', { kind: 'port', port: 3 }],
    ['/s[0]', { kind: 'port', port: 0 }],
    ['/s[port=16777215]', { kind: 'port', port: 16777215 }],
    ['/s[portgroup=12]', { kind: 'port', port: 12 }],
    ['/s[staff]', { kind: 'group', name: 'staff' }],
    ['/s[3a]', { kind: 'group', name: '3a' }],
    ['/s[-1]', { kind: 'group', name: '-1' }],
  ] as const;
  for (const [text, port] of table) assert.deepEqual(vdePortOption(parseLocator(text)), port, text);
});

test('refuses ports that do not fit and port groups that lead elsewhere', () => {
  const table = [
    ['/s[16777216]', '/s[16777216]: port 16777216 is out of range. Ports go from 0 to 16777215, for example [3]'],
    ['/s[..]', '/s[..]: ".." cannot be the name of a port group. Write a plain name, for example [staff]'],
    ['/s[a%2fb]', '/s[a%2fb]: "a/b" cannot be the name of a port group. Write a plain name, for example [staff]'],
  ] as const;
  for (const [text, message] of table)
    assert.throws(() => vdePortOption(parseLocator(text)), { code: 'ERR_LOCATOR', message });
});

test('reads the mode in octal', () => {
  assert.deepEqual(vdeAccessOptions(parseLocator('/s')), {});
  assert.deepEqual(vdeAccessOptions(parseLocator('/s[group=users/mode=0660]')), { group: 'users', mode: 0o660 });
  assert.deepEqual(vdeAccessOptions(parseLocator('/s[mode=0]')), { mode: 0 });
  assert.deepEqual(vdeAccessOptions(parseLocator('/s[mode=777]')), { mode: 0o777 });
});

test('refuses a mode that is not one, and a group without a name', () => {
  for (const mode of ['', '8', '1777', '0x1', 'rw', '-1']) {
    assert.throws(() => vdeAccessOptions(parseLocator(`/s[mode=${mode}]`)), {
      code: 'ERR_LOCATOR',
      message: `/s[mode=${mode}]: the mode "${mode}" is not one from 0 to 777, in octal. Write, for example, [mode=660]`,
    });
  }
  assert.throws(() => vdeAccessOptions(parseLocator('/s[group=]')), {
    message: '/s[group=]: the option "group" needs a value. Write, for example, [group=users]',
  });
});
