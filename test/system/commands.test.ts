/** What all commands have in common: where they are, what they say of themselves, and how they take a wrong word. */
import assert from 'node:assert/strict';
import { accessSync, constants, cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { COMMANDS } from '../../src/commands/command-tables.ts';
import { formatHelp } from '../../src/commands/help.ts';
import { type CommandTable, longNames, usageStatusOf } from '../../src/commands/option-table.ts';
import { checkout, makeTemporaryDirectory, ours, runCommand } from '../interop/harness.ts';

const NAMES = COMMANDS.map(({ table }) => table.name);
const TABLES = COMMANDS.flatMap(({ table }) => [table, ...(table.subcommands ?? [])]);

interface PackageFile {
  readonly bin: Readonly<Record<string, string>>;
  readonly man: readonly string[];
  readonly files: readonly string[];
}

test('every program in bin/ is in the list, in package.json, and has a manual page', () => {
  const text = readFileSync(join(checkout, 'package.json'), 'utf8');
  const { bin, man, files } = JSON.parse(text) as PackageFile;
  assert.deepEqual(readdirSync(join(checkout, 'bin')).toSorted(), [...NAMES, 'start.js'].toSorted());
  assert.deepEqual(bin, Object.fromEntries(NAMES.map((name) => [name, `bin/${name}`])));
  assert.deepEqual(man.toSorted(), NAMES.map((name) => `man/${name}.1`).toSorted());
  for (const folder of ['bin', 'man', 'completions']) assert.ok(files.includes(folder), folder);
  for (const name of NAMES) accessSync(ours(name), constants.X_OK);
});

test('what nobody expected is one line, and the status is that of a failure: in a checkout that was not built', async (t) => {
  const folder = makeTemporaryDirectory(t);
  cpSync(join(checkout, 'bin'), join(folder, 'bin'), { recursive: true });
  cpSync(join(checkout, 'package.json'), join(folder, 'package.json'));
  for (const [name, failure] of [
    ['vde', 125],
    ['vde_switch', 1],
    ['cadrop', 2],
  ] as const) {
    const { status, stdout, stderr } = await runCommand([join(folder, 'bin', name), '--help']);
    assert.deepEqual([status, stdout], [failure, '']);
    assert.match(stderr, new RegExp(`^${name}: unexpected: Cannot find module [^\\n]+\\n$`));
  }
});

test('options have one meaning each, and every command has help', () => {
  for (const { name, options, subcommands, operands, operandsWith = {}, synopsis, summary } of TABLES) {
    const names = options.flatMap((option) => [
      ...longNames(option),
      ...(option.short === undefined ? [] : [`-${option.short}`]),
    ]);
    assert.equal(new Set(names).size, names.length, name);
    const help = options.find(({ long }) => long === 'help');
    assert.deepEqual([help?.short, help?.argument, help?.help], ['h', undefined, 'print this'], name);
    assert.ok(name.includes(' ') || options.some(({ long }) => long === 'version'), `${name} --version`);
    for (const long of Object.keys(operandsWith)) assert.ok(names.includes(long), `${name}: operands with ${long}`);
    for (const option of options) {
      assert.ok(
        option.argument !== undefined || option.values === undefined,
        `${name} --${option.long} takes no value`,
      );
      assert.doesNotMatch(option.help, /\.$/, `${name} --${option.long}`);
    }
    assert.doesNotMatch(summary, /\.$/, name);
    assert.ok(synopsis.length > 0, name);
    // What is completed is what is explained.
    assert.ok(subcommands === undefined || operands === undefined, name);
  }
});

async function tell(
  table: CommandTable,
  ...words: readonly string[]
): Promise<readonly [number | null, string, string]> {
  const [name = '', ...subcommand] = table.name.split(' ');
  const { status, stdout, stderr } = await runCommand([ours(name), ...subcommand, ...words]);
  return [status, stdout, stderr];
}

for (const table of TABLES) {
  test(`${table.name}: help is a result, a wrong option is one line`, async () => {
    const help = formatHelp(table, 80);
    for (const line of help.split('\n')) assert.ok(line.length <= 80, line);
    const [long, short, version, wrong, noValue] = await Promise.all([
      tell(table, '--help'),
      tell(table, '-h'),
      tell(table, '--version'),
      tell(table, '--no-such-option'),
      tell(table, '--help=yes'),
    ]);
    assert.deepEqual(long, [0, help, '']);
    assert.deepEqual(short, [0, help, '']);
    const isOwn = !table.name.includes(' ');
    if (isOwn) assert.match(version[1], new RegExp(`^${table.name} \\d+\\.\\d+\\.\\d+\\n$`));
    const program = table.name.split(' ')[0] ?? '';
    const end = `. Options are listed by: ${table.name} --help\n`;
    assert.deepEqual(wrong, [usageStatusOf(table), '', `${program}: unknown option --no-such-option${end}`]);
    assert.deepEqual(noValue, [
      usageStatusOf(table),
      '',
      `${program}: --help takes no value, but was given "yes"${end}`,
    ]);
  });
}
