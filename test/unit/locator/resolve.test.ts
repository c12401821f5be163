/** Default networks and alias files, in a home directory of the test's own. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { defaultSwitchDirectories, type ResolvedLocator, resolveLocator } from '../../../src/locator/resolve.ts';

let home = '';
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'vdens-resolve-'));
});
afterEach(() => rmSync(home, { recursive: true }));

function resolveHere(text: string): ResolvedLocator {
  return resolveLocator(text, { home, cwd: home });
}

test('a locator that names its network itself is only parsed, and its path made absolute', () => {
  assert.deepEqual(resolveHere('vde:///run/sw[3]'), {
    scheme: 'vde',
    address: '/run/sw',
    options: new Map([['port', '3']]),
    repeated: new Map(),
    text: 'vde:///run/sw[3]',
    aliases: [],
  });
  assert.equal(resolveHere('sw').address, join(home, 'sw'));
  assert.equal(resolveHere('~/sw').address, join(home, 'sw'));
  assert.equal(resolveHere('ptp://line').address, join(home, 'line'));
  assert.equal(resolveHere('tap://tap0').address, 'tap0');
  assert.equal(resolveHere('cmd://a b').address, 'a b');
});

test('the empty locator means the standard switches when the user has no default', () => {
  assert.deepEqual([resolveHere('').scheme, resolveHere('').address], ['vde', '']);
  assert.equal(resolveLocator('', { home: '', cwd: '/' }).address, '');
  assert.deepEqual(defaultSwitchDirectories(), ['/var/run/vde.ctl', '/tmp/vde.ctl']);
});

test("the user's default comes first, the old one second, and neither for vde://", () => {
  mkdirSync(join(home, '.vde2', 'default.switch'), { recursive: true });
  assert.equal(resolveHere('').address, join(home, '.vde2', 'default.switch'));
  mkdirSync(join(home, '.vdeplug'));
  symlinkSync('/nowhere[1]', join(home, '.vdeplug', 'default'));
  assert.deepEqual(resolveHere('').address, join(home, '.vdeplug', 'default'), 'a dangling link counts');
  assert.equal(resolveHere('vde://').address, '');
  assert.equal(resolveHere('[3]').address, '');
});

test('a default network whose path holds brackets is a path', () => {
  const odd = join(home, 'a[b]');
  mkdirSync(join(odd, '.vdeplug', 'default'), { recursive: true });
  assert.equal(resolveLocator('', { home: odd, cwd: '/' }).address, join(odd, '.vdeplug', 'default'));
});

test('the first line of an alias file is the network, whatever ends it', () => {
  for (const [content, options] of [
    ['vde:///run/sw[3]', { port: '3' }],
    ['vde:///run/sw[3]\n', { port: '3' }],
    ['vde:///run/sw[3]\r\nanything\n', { port: '3' }],
    ['/run/sw\n', {}],
  ] as const) {
    writeFileSync(join(home, 'alias'), content);
    const locator = resolveHere('alias');
    assert.deepEqual(
      [locator.scheme, locator.address, Object.fromEntries(locator.options)],
      ['vde', '/run/sw', options],
    );
    assert.deepEqual(locator.aliases, [join(home, 'alias')]);
    assert.deepEqual(resolveHere('~/alias').address, '/run/sw');
  }
});

test('a default network may be an alias file', () => {
  mkdirSync(join(home, '.vdeplug'));
  writeFileSync(join(home, '.vdeplug', 'default'), 'vxvde://239.1.1.1\n');
  assert.equal(resolveHere('').scheme, 'vxvde');
});

test('follows eight aliases, and no circle', () => {
  writeFileSync(join(home, 'a8'), 'null://\n');
  for (let i = 7; i >= 0; i--) writeFileSync(join(home, `a${i}`), `a${i + 1}\n`);
  assert.equal(resolveHere('a1').scheme, 'null');
  assert.equal(resolveHere('a1').aliases.length, 8);
  assert.throws(() => resolveHere('a0'), {
    code: 'ERR_LOCATOR',
    message: /^more than 8 alias files in a row: .*a8\. Write the network itself/,
  });
  writeFileSync(join(home, 'x'), 'y\n');
  writeFileSync(join(home, 'y'), 'x\n');
  const [x, y] = [join(home, 'x'), join(home, 'y')];
  assert.throws(() => resolveHere('x'), {
    message: `the alias files go round in a circle: ${x} -> ${y} -> ${x}. Write the network itself into one of them`,
  });
});

test('an error in an alias file names the file', () => {
  const file = join(home, 'alias');
  writeFileSync(file, 'VDE://x\n');
  assert.throws(() => resolveHere('alias'), {
    code: 'ERR_LOCATOR',
    message: `in the alias file ${file}: VDE://x: there is no kind of network called "VDE". Schemes are in lower case: write vde://`,
  });
  writeFileSync(file, '\nvde://x\n');
  assert.throws(() => resolveHere('alias'), {
    message: `the alias file ${file} names no network. Write one on its first line, for example vde:///run/sw`,
  });
});
