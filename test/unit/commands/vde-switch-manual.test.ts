/** vde_switch(1) knows the console. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VDE_SWITCH_MANUAL } from '../../../src/commands/vde-switch-manual.ts';
import { switchCommands } from '../../../src/switch/console/switch-console.ts';
import { ManagedSwitch } from '../../../src/switch/managed/managed-switch.ts';

test('the manual page has every command of the console, and no other', async (t) => {
  const managed = new ManagedSwitch({ label: 'test' });
  t.after(() => managed.close());
  const commands = switchCommands({ managed, version: '1', shutdown: () => undefined });
  const known = commands.filter(({ run }) => run !== undefined).map(({ path }) => path);
  const { items = [] } = VDE_SWITCH_MANUAL.sections?.find(({ title }) => title === 'COMMANDS OF THE CONSOLE') ?? {};
  const listed = items.flatMap(({ term }) => Array.from(term.matchAll(/`([a-z/]+)/g), ([, path = '']) => path));
  assert.deepEqual(listed.toSorted(), known.toSorted());
});
