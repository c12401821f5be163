/** Options on a command line: where they end, how values are attached, what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CommandTable } from '../../../src/commands/option-table.ts';
import { parseOptions } from '../../../src/commands/parse-options.ts';
import { VdensError } from '../../../src/errors.ts';

const TABLE: CommandTable = {
  name: 'try',
  summary: 'Tries',
  synopsis: ['[options]'],
  options: [
    { long: 'iface', short: 'i', argument: 'PREFIX', help: 'prefix' },
    { long: 'multi', short: 'm', help: 'many' },
    { long: 'sysadm', short: 's', help: 'admin' },
    { long: 'resolvconf', short: 'r', argument: 'FILE', help: 'file' },
    { long: 'resolvaddr', short: 'R', argument: 'LIST', help: 'list' },
    { long: 'address', argument: 'CIDR', repeatable: true, help: 'address' },
    { long: 'up', help: 'up' },
    { long: 'upper', help: 'more than up' },
  ],
};

function parse(...argv: string[]): [values: Record<string, readonly string[]>, operands: readonly string[]] {
  const { values, operands } = parseOptions(TABLE, argv);
  return [Object.fromEntries(values), operands];
}

test('options end at the first word that is not one', () => {
  assert.deepEqual(parse('-i', 'eth', 'net', 'ip', '-br', '--multi'), [
    { iface: ['eth'] },
    ['net', 'ip', '-br', '--multi'],
  ]);
  assert.deepEqual(parse('-m', '-', '-s'), [{ multi: [''] }, ['-', '-s']]);
  assert.deepEqual(parse('', '-m'), [{}, ['', '-m']]);
  assert.deepEqual(parse('net', '-z', '--bogus=1'), [{}, ['net', '-z', '--bogus=1']]);
  assert.deepEqual(parse(), [{}, []]);
});

test('two hyphens end the options, once', () => {
  assert.deepEqual(parse('-m', '--', '-s', '--', 'x'), [{ multi: [''] }, ['-s', '--', 'x']]);
  assert.deepEqual(parse('--'), [{}, []]);
  assert.deepEqual(parse('net', '--', 'x'), [{}, ['net', '--', 'x']]);
});

test('values are attached or follow, and may look like anything', () => {
  for (const argv of [['-ieth'], ['-i', 'eth'], ['--iface=eth'], ['--iface', 'eth'], ['--if', 'eth'], ['--i=eth']]) {
    assert.deepEqual(parse(...argv, 'net'), [{ iface: ['eth'] }, ['net']], argv.join(' '));
  }
  assert.deepEqual(parse('-i', '-m', 'net'), [{ iface: ['-m'] }, ['net']]);
  assert.deepEqual(parse('-i', '--', 'net'), [{ iface: ['--'] }, ['net']]);
  assert.deepEqual(parse('-i=eth'), [{ iface: ['=eth'] }, []]);
  assert.deepEqual(parse('-i', ''), [{ iface: [''] }, []]);
  assert.deepEqual(parse('--iface='), [{ iface: [''] }, []]);
  assert.deepEqual(parse('--iface=a=b'), [{ iface: ['a=b'] }, []]);
});

test('flags may be grouped, with an option that takes a value at the end', () => {
  assert.deepEqual(parse('-ms', 'net'), [{ multi: [''], sysadm: [''] }, ['net']]);
  assert.deepEqual(parse('-msi', 'eth', 'net'), [{ multi: [''], sysadm: [''], iface: ['eth'] }, ['net']]);
  assert.deepEqual(parse('-mieth', 'net'), [{ multi: [''], iface: ['eth'] }, ['net']]);
});

test('long names may be shortened when one alone is meant, or one is exact', () => {
  assert.deepEqual(parse('--resolvc', 'f', 'net'), [{ resolvconf: ['f'] }, ['net']]);
  assert.deepEqual(parse('--resolvc=f', '--resolva', '1', '--mul', '--', '-x'), [
    { resolvconf: ['f'], resolvaddr: ['1'], multi: [''] },
    ['-x'],
  ]);
  assert.deepEqual(parse('--up'), [{ up: [''] }, []]);
  assert.deepEqual(parse('--upp'), [{ upper: [''] }, []]);
});

test('the last mention of an option counts, or all when it is repeatable', () => {
  assert.deepEqual(parse('-ia', '-ib', '--address', '1', '--addr=2'), [{ iface: ['b'], address: ['1', '2'] }, []]);
});

test('names the wrong word, and where the right ones are', () => {
  const end = '. Options are listed by: try --help';
  const table: readonly (readonly [string[], string])[] = [
    [['-z', 'net'], `unknown option -z${end}`],
    [['-mz'], `unknown option -z${end}`],
    [['--bogus'], `unknown option --bogus${end}`],
    [['--bogus=1'], `unknown option --bogus${end}`],
    [['--resolv', 'x'], `--resolv may mean --resolvconf or --resolvaddr${end}`],
    [['-i'], `-i needs a value: -i PREFIX${end}`],
    [['--iface'], `--iface needs a value: --iface PREFIX${end}`],
    [['--multi=yes'], `--multi takes no value, but was given "yes"${end}`],
    [['--__proto__'], `unknown option --__proto__${end}`],
    [['--constructor'], `unknown option --constructor${end}`],
    [['--=x'], `unknown option --=x${end}`],
  ];
  for (const [argv, message] of table) assert.throws(() => parse(...argv), { code: 'ERR_USAGE', message });
});

test('an option may have several long names, and is found under the first', () => {
  const table: CommandTable = {
    ...TABLE,
    options: [
      { long: 'sock', aliases: ['vdesock', 'unix'], short: 's', argument: 'DIR', help: 'directory' },
      { long: 'mod', aliases: ['mode'], short: 'm', argument: 'MODE', help: 'mode' },
      { long: 'macaddr', argument: 'MAC', help: 'address' },
      { long: 'verbose', help: 'more' },
    ],
  };
  for (const word of ['--sock', '--vdesock', '--unix', '--u', '--vd', '-s']) {
    assert.deepEqual(parseOptions(table, [word, '/d']).values, new Map([['sock', ['/d']]]), word);
  }
  // Both names of one option begin so: nothing is unclear.
  assert.deepEqual(parseOptions(table, ['--mo', '660', 'x']).values, new Map([['mod', ['660']]]));
  assert.throws(() => parseOptions(table, ['--v']), { message: /^--v may mean --sock or --verbose\./ });
});

test('options may stand among the operands, up to a word after which a command begins', () => {
  const table: CommandTable = { ...TABLE, isPermuted: true, commandAfter: ['='] };
  const rows: readonly (readonly [string[], Record<string, readonly string[]>, string[]])[] = [
    [['a', '-m', 'b', '-i', 'eth', 'c'], { multi: [''], iface: ['eth'] }, ['a', 'b', 'c']],
    [['a', '=', 'ssh', '-m', '--bogus', '='], {}, ['a', '=', 'ssh', '-m', '--bogus', '=']],
    [['a', '-i', '=', '-m'], { iface: ['='], multi: [''] }, ['a']],
    [['a', '-m', '--', '-s', '=', '-z'], { multi: [''] }, ['a', '-s', '=', '-z']],
    [['', '-', '-m'], { multi: [''] }, ['', '-']],
    [['=x', '-m'], { multi: [''] }, ['=x']],
  ];
  for (const [argv, values, operands] of rows) {
    assert.deepEqual(parseOptions(table, argv), { values: new Map(Object.entries(values)), operands }, argv.join(' '));
  }
  assert.throws(() => parseOptions(table, ['a', '-z']), { message: /^unknown option -z\./ });
});

test('long names may have one hyphen where the table says so', () => {
  const table: CommandTable = {
    ...TABLE,
    hasSingleDash: true,
    options: [
      { long: 'sock', aliases: ['unix'], short: 's', argument: 'DIR', help: 'directory' },
      { long: 'hub', short: 'x', help: 'hub' },
      { long: 'help', short: 'h', help: 'help' },
      { long: 'numports', short: 'n', argument: 'N', help: 'ports' },
      { long: 'daemon', short: 'd', help: 'background' },
      { long: 'nostdin', help: 'no console' },
      { long: 'fstp', short: 'F', help: 'tree' },
    ],
  };
  const rows: readonly (readonly [string[], Record<string, readonly string[]>])[] = [
    [['-sock', '/d', '-hub', '-daemon'], { sock: ['/d'], hub: [''], daemon: [''] }],
    [['-sock=/d', '--unix=/e', '-un', '/f'], { sock: ['/f'] }],
    [['-n4', '-s/d', '-x'], { numports: ['4'], sock: ['/d'], hub: [''] }],
    [['-dx', '-nos'], { daemon: [''], hub: [''], nostdin: [''] }],
    [['-h'], { help: [''] }],
    [['-hu'], { hub: [''] }],
    [['-fstp'], { fstp: [''] }],
    // Not the long name, as one letter that is a short name is just that.
    [['-s', '/d', '-d'], { sock: ['/d'], daemon: [''] }],
    [['-xs', '/d'], { hub: [''], sock: ['/d'] }],
  ];
  for (const [argv, values] of rows) {
    assert.deepEqual(parseOptions(table, argv).values, new Map(Object.entries(values)), argv.join(' '));
  }
  const wrong: readonly (readonly [string[], RegExp])[] = [
    [['-bogus'], /^unknown option -bogus\./],
    [['-bogus=1'], /^unknown option -bogus\./],
    [['-sock'], /^-sock needs a value: -sock DIR\./],
    [['-hub=1'], /^-hub takes no value, but was given "1"\./],
    [['-xz'], /^unknown option -z\./],
    [['-='], /^unknown option -=\./],
    [['-nu'], /^-nu needs a value/],
  ];
  for (const [argv, message] of wrong) {
    assert.throws(() => parseOptions(table, argv), { code: 'ERR_USAGE', message }, argv.join(' '));
  }
});

test('no command line makes it throw anything but its own error, and operands are the end of it', () => {
  const word = fc.oneof(
    fc.constantFrom('-i', '-m', '--', '-', '--res', '--up', '-mi', '--iface=x', '-', 'net'),
    fc.string({ maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(word), (argv) => {
      try {
        const { operands } = parseOptions(TABLE, argv);
        assert.deepEqual(operands, argv.slice(argv.length - operands.length));
      } catch (error) {
        assert.ok(error instanceof VdensError && error.code === 'ERR_USAGE', String(error));
      }
    }),
    { numRuns: 1000 },
  );
});
