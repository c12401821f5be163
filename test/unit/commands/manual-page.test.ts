/** The manual pages: what is committed is what the tables say, and mandoc(1) has nothing to object. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { COMMANDS } from '../../../src/commands/command-tables.ts';
import { formatManualPage } from '../../../src/commands/manual-page.ts';
import { type CommandTable, type Manual, shownOptions } from '../../../src/commands/option-table.ts';

const MAN = join(import.meta.dirname, '..', '..', '..', '..', 'man');
for (const { table, manual } of COMMANDS) {
  test(`man/${table.name}.1 is what scripts/manual.mjs writes`, () => {
    assert.equal(readFileSync(join(MAN, `${table.name}.1`), 'utf8'), formatManualPage(table, manual));
  });

  test(`${table.name}(1) explains every option, and no other`, () => {
    const own = shownOptions(table).map(({ long }) => long);
    const inner = (table.subcommands ?? []).flatMap((command) => {
      const word = command.name.slice(table.name.length + 1);
      const names = shownOptions(command).map(({ long }) => long);
      return [word, ...names.filter((long) => long !== 'help').map((long) => `${word} --${long}`)];
    });
    assert.deepEqual(new Set(Object.keys(manual.options)), new Set([...own, ...inner]));
  });
}

test('marks words by what they are, and begins sentences on lines of their own', () => {
  const manual: Manual = {
    date: 'January 1, 2026',
    description: [
      "Run `try(1)`. See `$HOME`, (`-i NAME` and `--up`) or `SIGTERM`: the `a 'b' .` of `/etc/hosts`.",
      'C:\\x `Ar`',
    ],
    options: { up: ['Up.'] },
    environment: [],
    exitStatus: [{ term: '`-`, `no` or none', text: ['One.', 'Two.'] }],
    examples: [{ text: 'Try:', command: "try -x 'a~b'\\" }],
    seeAlso: ['a(1)', 'b(8)'],
  };
  const table: CommandTable = {
    name: 'try',
    summary: 'Tries',
    synopsis: ['-m [up [down ...]]'],
    options: [
      { long: 'up', aliases: ['on'], short: 'u', argument: 'N', help: 'up' },
      { long: 'old', isHidden: true, help: 'no longer' },
    ],
  };
  const page = formatManualPage(table, manual);
  const expected = [
    ...['.Dd January 1, 2026', '.Dt TRY 1', '.Os', '.Sh NAME', '.Nm try', '.Nd tries'],
    ...['.Sh SYNOPSIS', '.Nm try', '.Fl m', '.Op Ar up Op Ar down ...', '.Sh DESCRIPTION', 'Run', '.Xr try 1 .'],
    ...['See', '.Ev HOME ,', '.Fl ( i Ar NAME', 'and', '.Fl -up )', 'or', '.Dv SIGTERM :', 'the'],
    ...['.Ql a \\(aqb\\(aq \\&.', 'of', '.Pa /etc/hosts .', '.Pp', 'C:\\ex', '.Ql \\&Ar'],
    ...['.Sh OPTIONS', '.Bl -tag -width Ds', '.It Fl u , Fl -up , Fl -on Ar N', 'Up.', '.El', '.Sh ENVIRONMENT'],
    ...['.Sh EXIT STATUS', '.Bl -tag -width Ds', '.It Cm \\- , Cm no No or none', 'One.', '.Pp', 'Two.', '.El'],
    ...[
      '.Sh EXAMPLES',
      'Try:',
      '.Bd -literal -offset indent',
      '$ try \\-x \\(aqa\\(tib\\(aq\\e',
      '.Ed',
      '.Sh SEE ALSO',
      '.Xr a 1 ,',
      '.Xr b 8',
      '',
    ],
  ];
  assert.deepEqual(page.split('\n').slice(1), expected);
});

const files = COMMANDS.map(({ table }) => join(MAN, `${table.name}.1`));
const mandoc = spawnSync('mandoc', ['-T', 'lint', ...files], { encoding: 'utf8' });
const missing = mandoc.error === undefined ? false : 'mandoc is not installed (apt-get install mandoc)';
test('mandoc has no warning', { skip: missing }, () => {
  // Whether the pages that are referred to are installed here is not the page's fault.
  const remarks = mandoc.stdout
    .split('\n')
    .filter((line) => line !== '' && !line.includes('referenced manual not found'));
  assert.deepEqual(remarks, []);
});
