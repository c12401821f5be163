/** The text of --help. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHelp } from '../../../src/commands/help.ts';
import type { CommandTable } from '../../../src/commands/option-table.ts';
import { VDE_TABLE } from '../../../src/commands/vde-options.ts';
import { VDENS_TABLE } from '../../../src/commands/vdens-options.ts';

test('folds the synopsis, and what follows stands below its first word', () => {
  const table: CommandTable = {
    name: 'try',
    summary: 'Tries',
    synopsis: ['[options] one two three four', 'x'],
    options: [],
  };
  const [first, second, third] = formatHelp(table, 40).split('\n');
  assert.deepEqual(
    [first, second, third],
    ['Usage: try [options] one two three four'.slice(0, 39), '       try x', 'Tries.'],
  );
  const narrow = formatHelp({ ...table, synopsis: ['[options] one two three four five'] }, 40).split('\n');
  assert.deepEqual(narrow.slice(0, 2), ['Usage: try [options] one two three four', '           five']);
});

test('aligns options, and gives a long one a line of its own', () => {
  const table: CommandTable = {
    name: 'try',
    summary: 'Tries this and that',
    synopsis: ['[options]', '-m [options] net ...'],
    options: [
      { long: 'iface', short: 'i', argument: 'P', help: 'first letters of the name of every interface' },
      { long: 'very-long-option', argument: 'VALUE[,VALUE...]', repeatable: true, help: 'many' },
      { long: 'up', aliases: ['on'], help: 'up' },
      { long: 'old', isHidden: true, help: 'no longer' },
    ],
    notes: ['More: man try'],
  };
  assert.equal(
    formatHelp(table, 50),
    [
      'Usage: try [options]',
      '       try -m [options] net ...',
      'Tries this and that.',
      '',
      'Options:',
      '  -i, --iface P  first letters of the name of',
      '                 every interface',
      '      --very-long-option VALUE[,VALUE...]',
      '                 many (repeatable)',
      '      --up       up (also --on)',
      '',
      'More: man try',
      '',
    ].join('\n'),
  );
});

test('lists every option and fits on a terminal', () => {
  for (const table of [VDENS_TABLE, VDE_TABLE]) {
    for (const width of [80, 100]) {
      const lines = formatHelp(table, width).split('\n');
      for (const line of lines) assert.ok(line.length <= width, line);
      assert.ok(lines.length <= 30, String(lines.length));
      for (const { long } of table.options)
        assert.equal(lines.filter((line) => line.includes(` --${long}`)).length >= 1, true, long);
    }
  }
});

test('names no option twice', () => {
  for (const { options } of [VDENS_TABLE, VDE_TABLE]) {
    const names = options.flatMap(({ long, short }) => (short === undefined ? [long] : [long, `-${short}`]));
    assert.equal(new Set(names).size, names.length);
  }
});
