/** Lists of capabilities, as cadrop takes them, and what caprint makes of a set. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatCapabilities } from '../../../src/commands/caprint.ts';
import { ALL_CAPABILITIES, parseCapabilityList } from '../../../src/system/capabilities.ts';

test('a list has names and masks', () => {
  const table: readonly (readonly [string, bigint])[] = [
    ['net_raw', 0x2000n],
    ['cap_net_raw,NET_ADMIN', 0x3000n],
    ['cap_NET_raw', 0x2000n],
    ['3000', 0x3000n],
    ['0x400,800', 0xc00n],
    ['12', 0x12n],
    ['face', 0xfacen],
    [',,net_raw, ,', 0x2000n],
    ['  net_raw net_admin', 0x2000n],
    ['', 0n],
    ['-1', ALL_CAPABILITIES],
    ['fffffffffffffffff', ALL_CAPABILITIES],
    ['chown,checkpoint_restore', (1n << 40n) | 1n],
  ];
  for (const [list, set] of table) assert.equal(parseCapabilityList(list), set, list);
});

test('what is neither is told', () => {
  const table: readonly (readonly [string, string])[] = [
    ['net', 'net'],
    ['net_raw,CAP_NET_ADMIN', 'CAP_NET_ADMIN'],
    ['0x', '0x'],
    ['cap_', 'cap_'],
    ['cap_cap_net_raw', 'cap_cap_net_raw'],
    ['net_raw;net_admin', 'net_raw;net_admin'],
    ['3g', '3g'],
    ['all', 'all'],
    ['--', '--'],
  ];
  for (const [list, item] of table) assert.equal(parseCapabilityList(list), item);
});

test('a capability without a name is not printed, but is in the mask', () => {
  const how = { isLong: true, isCompact: false, isPrompt: false };
  const set = (1n << 63n) | 0x401n;
  const lines = [
    ' 0 0000000000000001 cap_chown',
    '10 0000000000000400 cap_net_bind_service',
    '   8000000000000401',
    '',
  ];
  assert.equal(formatCapabilities(set, how), lines.join('\n'));
  assert.equal(formatCapabilities(1n << 63n, how), '');
  assert.equal(formatCapabilities(1n, how), ' 0 0000000000000001 cap_chown\n');
});
