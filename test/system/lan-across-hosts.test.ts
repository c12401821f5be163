/**
 * docs/lan-across-hosts.md, typed as it stands on three test hosts (test/fixtures/lab-typist.ts). Nothing of it leaves
 * them.
 *
 * Before a block is what it takes: commands, or `br42`, a bridge on host 1 that the page takes for given. A file that
 * the page shows is there for all blocks:
 *
 *     <!-- file: lab.txt -->
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { typeOnHosts } from '../fixtures/lab-typist.ts';
import { blocksOf } from '../fixtures/page-blocks.ts';
import { checkout, requireCommands } from '../interop/harness.ts';

const PAGE = 'docs/lan-across-hosts.md';
/** The bridge of a fabric, with an address of its own. */
const BR42 = 'ip link add br42 type bridge; ip address add 10.0.0.1/24 dev br42; ip link set br42 up';
const LIMIT = { timeout: 90_000 };

const FILE = /^<!-- file: (?<name>\S+) -->\n```\n(?<text>.*?)^```$/gms;
const page = readFileSync(join(checkout, PAGE), 'utf8');
const files = Object.fromEntries(
  Array.from(page.matchAll(FILE), ({ groups }) => [groups?.['name'] ?? '', groups?.['text'] ?? '']),
);

const blocks = blocksOf(PAGE).filter(({ needs }) => needs !== undefined);

test('most of the page is run', () => {
  assert.ok(blocks.length >= 10);
  assert.ok(blocks.every(({ language }) => language === 'sh'));
});

for (const { line, text, needs = [] } of blocks) {
  const [, first = ''] = text.split('\n');
  test(`${PAGE}:${line} works as it stands: ${first}`, LIMIT, async (t) => {
    const commands = needs.filter((name) => name !== 'br42');
    if (!requireCommands(t, 'ip', 'ping', ...commands)) return;
    await typeOnHosts(t, text, { files, before: needs.includes('br42') ? { 1: BR42 } : {} });
  });
}
