/** README and docs say what the code says: options, networks, errors, limits, and files that are there. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { VDENS_MANUAL } from '../../src/commands/vdens-manual.ts';
import { VDENS_TABLE } from '../../src/commands/vdens-options.ts';
import { SCHEMES } from '../../src/locator/schemes.ts';
import { DROP_REASONS } from '../../src/plugs/counters.ts';

const checkout = join(import.meta.dirname, '..', '..', '..');
const pages = ['README.md', 'CHANGELOG.md', ...readdirSync(join(checkout, 'docs')).map((name) => `docs/${name}`)];
const markdown = pages.filter((name) => name.endsWith('.md'));

function read(path: string): string {
  return readFileSync(join(checkout, path), 'utf8');
}

test('the README begins with what it is, a session, one line to install, and three links', () => {
  const screen = read('README.md').split('\n').slice(0, 24).join('\n');
  assert.match(screen, /^# vdens\n\n[^\n]+\n\n(<!--[^\n]+-->\n)?```console\n/);
  assert.match(screen, /^npm ci && npm start$/m);
  const links = /^\*\*\[.*/m.exec(screen)?.[0].match(/\]\([^)]+\)/g) ?? [];
  assert.equal(links.length, 3);
});

test('every link to a file leads to one', () => {
  const broken = markdown.flatMap((page) => {
    const targets = Array.from(read(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g), ([, target = '']) => target);
    return targets
      .filter((target) => !/^https?:/.test(target))
      .filter((target) => !existsSync(join(checkout, dirname(page), target)))
      .map((target) => `${page}: ${target}`);
  });
  assert.deepEqual(broken, []);
});

test('docs/README.md leads to every page, and every picture is on one', () => {
  const index = read('docs/README.md');
  const others = markdown.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md');
  assert.deepEqual(
    others.filter((page) => !index.includes(`(${page.slice('docs/'.length)})`)),
    [],
  );
  const all = markdown.map(read).join('');
  const pictures = readdirSync(join(checkout, 'docs', 'pictures'));
  assert.deepEqual(
    pictures.filter((name) => !all.includes(`pictures/${name})`)),
    [],
  );
});

test('the README has every option, and no other', () => {
  const [table = ''] = read('README.md').split('## Options\n')[1]!.split('| network |');
  const listed = Array.from(table.matchAll(/`(--?[A-Za-z][a-z-]*)/g), ([, flag = '']) => flag);
  const known = VDENS_TABLE.options.flatMap(({ long, short }) => [
    `--${long}`,
    ...(short === undefined ? [] : [`-${short}`]),
  ]);
  assert.deepEqual(new Set(listed), new Set(known));
});

test('the README says of every kind of network whether it can be opened', () => {
  const opener = read('src/locator/open-plug.ts');
  const rows = read('README.md')
    .split('\n')
    .filter((line) => line.startsWith('| ') && line.includes('://'));
  for (const scheme of SCHEMES.keys()) {
    const row = rows.find((line) => line.includes(`\`${scheme}://\``) && line.split('|').length === 5);
    assert.ok(row !== undefined, `the README does not mention ${scheme}:// beside the originals`);
    assert.equal(row.includes('not yet'), !opener.includes(`case '${scheme}':`), row);
  }
});

/** Pages with a table of options, and the sections of the manual that name the same. */
const OPTION_PAGES = [
  { page: 'docs/lan-across-hosts.md', section: 'OPTIONS OF NETWORKS OVER UDP', schemes: ['vxvde', 'vxlan'] },
  { page: 'docs/gateway.md', section: 'OPTIONS OF SLIRP', schemes: ['slirp'] },
];

for (const { page, section, schemes } of OPTION_PAGES) {
  test(`${page} has every option of ${schemes.join(' and ')}, and no other; the manual page, too`, () => {
    const known = schemes.flatMap((scheme) => SCHEMES.get(scheme)?.optionKeys ?? []);
    const table = read(page).split('## Options\n')[1]!.split('\n## ')[0]!;
    const keys = (text: string): string[] => Array.from(text.matchAll(/`([a-z_\d]+)[=`]/g), ([, key = '']) => key);
    const rows = Array.from(table.matchAll(/^\| (`[^|]+) \|/gm), ([, first = '']) => keys(first));
    assert.deepEqual(new Set(rows.flat()), new Set(known));
    const { items = [] } = VDENS_MANUAL.sections?.find(({ title }) => title === section) ?? {};
    assert.deepEqual(new Set(items.flatMap(({ term }) => keys(term))), new Set(known));
  });
}

test('the example of the package is that of the README, which is run', () => {
  const [, example = ''] = /```js\n(.*?) \* ```/s.exec(read('src/index.ts')) ?? [];
  const code = example.replace(/^ \*( |$)/gm, '');
  assert.ok(code.includes('openNamespace'));
  assert.ok(read('README.md').includes(`<!-- run: ping -->\n\`\`\`js\n${code}\`\`\`\n`));
});

test('docs/errors.md lists every code of errors.ts, and no other', () => {
  const union = read('src/errors.ts').split('export type VdensErrorCode =')[1]!.split(';')[0]!;
  const codes = union.match(/ERR_[A-Z_]+/g) ?? [];
  const listed = Array.from(read('docs/errors.md').matchAll(/^\| `(ERR_[A-Z_]+)` \|/gm), ([, code = '']) => code);
  assert.ok(codes.length > 5);
  assert.deepEqual(listed.toSorted(), codes.toSorted());
});

test('docs/running.md says what every reason of a drop means, and knows no other', () => {
  const [table = ''] = read('docs/running.md').split('## Why frames are dropped\n')[1]!.split('\n## ');
  const rows = Array.from(table.matchAll(/^\| (`[^|]+) \|/gm), ([, first = '']) => first);
  const listed = rows.flatMap((row) => Array.from(row.matchAll(/`([a-z-]+)`/g), ([, reason = '']) => reason));
  assert.deepEqual(listed.toSorted(), DROP_REASONS.toSorted());
});

/** `512 KiB` as bytes, `5 s` as milliseconds, other numbers as they are. */
function numberOf(limit: string): number {
  const [, number = '', unit = ''] = /^(\d+)(?: (\w+))?$/.exec(limit) ?? [];
  const factors: Readonly<Record<string, number>> = { s: 1000, KiB: 1024, MiB: 1024 * 1024 };
  return Number(number) * (factors[unit] ?? 1);
}

/** The value of a constant of a file or a folder, which is written as a number or as a product of numbers. */
function constantOf(name: string, path: string): number {
  const isFolder = statSync(join(checkout, path)).isDirectory();
  const texts = isFolder ? readdirSync(join(checkout, path)).map((file) => read(join(path, file))) : [read(path)];
  const pattern = new RegExp(`(?:const ${name}(?:: number)? = ([\\d_* ]+);|#define ${name} \\(?([\\d* ]+))`);
  const [, typescript, c] = texts.map((text) => pattern.exec(text)).find((match) => match !== null) ?? [];
  const factors = (typescript ?? c ?? 'missing').replaceAll('_', '').split('*');
  return factors.reduce((product, factor) => product * Number(factor), 1);
}

test('docs/limits.md has the numbers of the code', () => {
  const rows = Array.from(read('docs/limits.md').matchAll(/^\| [^|]+ \| ([^|]+) \| `([A-Z0-9_]+)` in (\S+) \|/gm));
  assert.ok(rows.length > 20);
  for (const [row, limit = '', name = '', path = ''] of rows) {
    assert.equal(constantOf(name, path), numberOf(limit), row);
  }
});

/** Constants that look like bounds, and are the measures of a page, a line, a call, a pace or a comparison of words. */
const NO_LIMITS: ReadonlySet<string> = new Set([
  ...['MAX_LEFT', 'MAX_LINE', 'MAX_DISTANCE', 'MAX_ARGUMENTS'],
  ...['DEFAULT_MARKOV_MS', 'MAX_TAGS', 'FIRST_POLL_MS', 'LONGEST_POLL_MS'],
]);

test('docs/limits.md has every bound of the code that is written as a number', () => {
  const rows = read('docs/limits.md').matchAll(/^\| [^|]+ \| ([^|]+) \| `([A-Z0-9_]+)` in/gm);
  const listed = new Set(Array.from(rows, ([, limit = '', name = '']) => `${name} ${numberOf(limit)}`));
  const folders = [
    'switch',
    'overlay',
    'gateway',
    'console',
    'plugs',
    'locator',
    'commands',
    'control',
    'impairment',
    'capture',
    'inventory',
  ].map((name) => `src/${name}`);
  folders.push('native/io', 'native/gateway');
  const files = folders.flatMap((folder) =>
    readdirSync(join(checkout, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(ts|c|h)$/.test(name))
      .map((name) => join(folder, name)),
  );
  const pattern = /(?:const |#define )((?:MAX|QUEUE)_\w+|\w+_MS|(?:\w+_)?AT_ONCE|BACKLOG)(?:: number)?(?: =)? \(?\d/g;
  const bounds = files.flatMap((file) =>
    Array.from(read(file).matchAll(pattern), ([, name = '']) => ({ file, name, value: constantOf(name, file) })),
  );
  assert.ok(bounds.length > 60);
  const missing = bounds.filter(
    ({ name, value }) => value > 0 && !NO_LIMITS.has(name) && !listed.has(`${name} ${value}`),
  );
  assert.deepEqual(missing, []);
});

test('nothing a reader sees names a place where it was made', () => {
  const words = /\/work\/|\/root\/|\bTODO\b|\bFIXME\b/;
  for (const page of pages.filter((name) => /\.(md|svg)$/.test(name))) {
    assert.doesNotMatch(read(page), words, page);
  }
});
