/** Command lines of vde. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  interpretVdeArguments,
  VDE_DOCTOR_TABLE,
  VDE_SWITCH_TABLE,
  VDE_TABLE,
} from '../../../src/commands/vde-options.ts';

test('reads the command and its own options', () => {
  const table: readonly (readonly [string[], unknown])[] = [
    [['--help'], { action: 'help', table: VDE_TABLE }],
    [['-V'], { action: 'version' }],
    [['doctor'], { action: 'doctor', json: false, printAppArmor: false }],
    [['doctor', '--json'], { action: 'doctor', json: true, printAppArmor: false }],
    [['doctor', '--print'], { action: 'doctor', json: false, printAppArmor: true }],
    [['doctor', '-h'], { action: 'help', table: VDE_DOCTOR_TABLE }],
    [['switch', '--help'], { action: 'help', table: VDE_SWITCH_TABLE }],
    [
      ['switch', '-xm', '660', '/tmp/lan'],
      {
        action: 'switch',
        options: {
          values: new Map([
            ['hub', ['']],
            ['mode', ['660']],
          ]),
          operands: ['/tmp/lan'],
        },
      },
    ],
  ];
  for (const [argv, action] of table) assert.deepEqual(interpretVdeArguments(argv), action, argv.join(' '));
});

test('names the wrong word and a right one', () => {
  const commands = (VDE_TABLE.subcommands ?? []).map(({ name }) => name.replace('vde ', ''));
  const table: readonly (readonly [string[], string])[] = [
    [[], 'a command is missing, for example: vde doctor. Options are listed by: vde --help'],
    [['swich'], 'vde has no command "swich". Did you mean: vde switch'],
    [['docter'], 'vde has no command "docter". Did you mean: vde doctor'],
    [['x'], `vde has no command "x". Known are: ${commands.join(', ')}`],
    [['--json', 'doctor'], 'unknown option --json. Options are listed by: vde --help'],
    [['doctor', '-V'], 'unknown option -V. Options are listed by: vde doctor --help'],
    [
      ['doctor', 'x'],
      '"x" is one word too many: vde doctor takes only options. Options are listed by: vde doctor --help',
    ],
    [
      ['doctor', '--json', '--print-apparmor'],
      '--json and --print-apparmor do not go together. Give one of them. Options are listed by: vde doctor --help',
    ],
  ];
  for (const [argv, message] of table) assert.throws(() => interpretVdeArguments(argv), { code: 'ERR_USAGE', message });
});
