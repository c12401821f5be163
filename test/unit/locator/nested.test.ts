/** vlan://, agno://, restart:// and what is inside of them: what the text says, and what is said when it makes no sense. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { needsDirectory } from '../../../src/commands/run-cable.ts';
import { agnoOptions } from '../../../src/locator/agno-locator.ts';
import { parseLocator } from '../../../src/locator/locator.ts';
import { nestedLocators } from '../../../src/locator/nested.ts';
import { openPlug } from '../../../src/locator/open-plug.ts';
import { vlanOptions } from '../../../src/locator/vlan-locator.ts';
import { HealingPlug } from '../../../src/plugs/healing.ts';
import { NullPlug } from '../../../src/plugs/null.ts';
import type { VlanOptions } from '../../../src/plugs/vlan-rules.ts';
import { WrapperPlug } from '../../../src/plugs/wrapper.ts';
import { makeTemporaryDirectory } from '../../interop/harness.ts';

const none = { untagged: 0, untag: 0, tags: [], trunk: false, qinq: false };
const pair = (user: number, network = user): { user: number; network: number } => ({ user, network });

function keyFile(t: TestContext, text = '00112233445566778899aabbccddeeff', mode = 0o600): string {
  const path = join(makeTemporaryDirectory(t), 'key');
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

describe('vlan://', () => {
  test('says which VLANs', () => {
    const table: readonly (readonly [string, Partial<VlanOptions>])[] = [
      ['vlan://', {}],
      ['vlan://4{x}', { untagged: 4 }],
      ['vlan://0x10{x}', { untagged: 16 }],
      ['vlan://020{x}', { untagged: 16 }],
      ['vlan://4095{x}', { untagged: 4095 }],
      ['vlan://4/u=9{x}', { untagged: 4, untag: 9 }],
      ['vlan:///untag=9{x}', { untag: 9 }],
      ['vlan://3/u=4/t=10:11-12:12-11{x}', { untagged: 3, untag: 4, tags: [pair(10), pair(11, 12), pair(12, 11)] }],
      ['vlan:///t=5{x}', { tags: [pair(5)] }],
      ['vlan:///tag=1.4094:2-0x3{x}', { tags: [pair(1), pair(4094), pair(2, 3)] }],
      ['vlan://3/x{x}', { untagged: 3, trunk: true }],
      ['vlan://3/trunk/qinq{x}', { untagged: 3, trunk: true, qinq: true }],
      ['vlan://3/ad{x}', { untagged: 3, qinq: true }],
      ['vlan://3[trunk]{x}', { untagged: 3, trunk: true }],
      ['vlan://3[u=4/trunk]{x}', { untagged: 3, untag: 4, trunk: true }],
    ];
    for (const [text, others] of table) assert.deepEqual(vlanOptions(parseLocator(text)), { ...none, ...others }, text);
  });

  test('refuses what is no VLAN', () => {
    const table: readonly (readonly [string, string])[] = [
      ['vlan://four{/tmp/sw}', 'VLAN "four" is not a VLAN from 0 to 4095. Write, for example, vlan://4{/tmp/sw}'],
      ['vlan://4096{}', 'VLAN "4096" is not a VLAN from 0 to 4095. Write, for example, vlan://4{}'],
      ['vlan:///u=4095{}', 'u "4095" is not a VLAN from 0 to 4094. Write, for example, /u=9'],
      ['vlan:///u{}', 'u "" is not a VLAN from 0 to 4094. Write, for example, /u=9'],
      ['vlan:///t=5:{}', 't "" is not a VLAN from 1 to 4094. Write, for example, /t=5.6:10-20'],
      ['vlan:///t=0{}', 't "0" is not a VLAN from 1 to 4094. Write, for example, /t=5.6:10-20'],
      ['vlan:///t=1-2-3{}', '"1-2-3" is not one VLAN, or two. Write, for example, /t=5.6:10-20'],
      ['vlan:///x=5{}', '"trunk" takes no value. Write, for example, /trunk'],
    ];
    for (const [text, message] of table) {
      const wanted = { code: 'ERR_LOCATOR', message: `${text}: ${message}` };
      assert.throws(() => vlanOptions(parseLocator(text)), wanted, text);
    }
  });
});

describe('agno://', () => {
  test('says which EtherType', (t) => {
    const path = keyFile(t);
    const table: readonly (readonly [string, number | string])[] = [
      ['', 0xa6de],
      ['[ethtype=]', 0xa6de],
      ['[e=0]', 0xa6de],
      ['[e=copy]', 'copy'],
      ['[e=ipv4]', 0x800],
      ['[e=ipv6]', 0x86dd],
      ['[e=rand]', 'random'],
      ['[e=0x88b5]', 0x88b5],
      ['[e=34997]', 0x88b5],
      ['[e=0x600]', 0x600],
      ['[e=0xfffe]', 0xfffe],
    ];
    for (const [brackets, etherType] of table) {
      assert.equal(agnoOptions('net', parseLocator(`agno://${path}${brackets}{x}`)).etherType, etherType, brackets);
    }
    for (const wrong of ['88b5', '0x5ff', '0xffff', 'IPv4', 'toString', '-1']) {
      const text = `agno://${path}[ethtype=${wrong}]{x}`;
      assert.throws(() => agnoOptions('net', parseLocator(text)), { code: 'ERR_LOCATOR', value: wrong }, wrong);
    }
  });

  test('says which key', (t) => {
    const path = keyFile(t, '12');
    const { key, warning } = agnoOptions('net', parseLocator(`agno://${path}{x}`));
    assert.deepEqual([...key], [0x12, ...new Array(15).fill(0)]);
    assert.match(warning ?? '', /has 2 of 32 hexadecimal digits/);
    const { homedir } = userInfo();
    const missing = (name: string): object => ({ code: 'ERR_KEY', value: join(homedir, name) });
    assert.throws(() => agnoOptions('net', parseLocator('agno://~no/such.key{x}')), missing('no/such.key'));
    assert.throws(() => agnoOptions('net', parseLocator('agno://~/no-such.key{x}')), missing('no-such.key'));
    const here = { code: 'ERR_KEY', value: join(process.cwd(), 'no-such.key') };
    assert.throws(() => agnoOptions('net', parseLocator('agno://no-such.key{x}')), here);
  });

  test('opens nothing inside when the key is no good', async (t) => {
    const path = keyFile(t, undefined, 0o644);
    const message = `others may read the key "${path}". If they must not have it, make a new one; then: chmod 600 ${path}`;
    await assert.rejects(openPlug(`agno://${path}{/no/such}`), {
      code: 'ERR_KEY',
      message: `agno://${path}{/no/such}: ${message}`,
    });
  });
});

describe('networks inside each other', () => {
  test('are opened at any depth, and closed with the outermost', async (t) => {
    const text = `agno://${keyFile(t)}{vlan://4{vlan://5/q{restart://7{null://}}}}`;
    const plug = await openPlug(text);
    assert.equal(plug.label, text);
    assert.ok(plug instanceof WrapperPlug);
    const { innermost } = plug;
    assert.ok(innermost instanceof HealingPlug);
    assert.equal(innermost.label, 'restart://7{null://}');
    await plug.close();
  });

  test('may be alias files, paths that are relative, and commands', async (t) => {
    const directory = makeTemporaryDirectory(t);
    writeFileSync(join(directory, 'office'), 'vlan://4{null://}\n');
    const plug = await openPlug(`vlan:///t=7{${directory}/office}`);
    assert.ok(plug instanceof WrapperPlug && plug.innermost instanceof NullPlug);
    await plug.close();
    await using command = await openPlug('vlan://4{=cat}');
    assert.ok(command instanceof WrapperPlug);
    const schemes = (word: string): string[] => nestedLocators(word).map(({ scheme }) => scheme);
    assert.deepEqual(schemes(`vlan:///t=7{${directory}/office}`), ['vlan', 'vlan', 'null']);
    assert.deepEqual(schemes('agno://{=cat}'), ['agno']);
    assert.deepEqual(schemes('vlan://3{sw}'), ['vlan', 'vde']);
    assert.equal(nestedLocators('vlan://3{sw}').at(-1)?.address, join(process.cwd(), 'sw'));
  });

  test('errors name the one that is wrong', async () => {
    await assert.rejects(openPlug('vlan://4{/no/such/switch}'), { message: /^\/no\/such\/switch: / });
    await assert.rejects(openPlug('vlan://4{vlan://5/z{}}'), { message: /^vlan:\/\/5\/z\{\}: unknown option "z"/ });
    await assert.rejects(openPlug('vlan://4{nix://}'), { message: /^nix:\/\/: there is no kind of network/ });
    await assert.rejects(openPlug('restart://soon{null://}'), {
      message: 'restart://soon{null://}: "soon" is not a number of seconds. Write, for example, restart://20{null://}',
    });
  });

  test('are so many at most, also when alias files go round', async (t) => {
    const deep = (depth: number): string => `${'vlan://4{'.repeat(depth)}null://${'}'.repeat(depth)}`;
    await (await openPlug(deep(15))).close();
    const tooDeep = { code: 'ERR_LOCATOR', message: /there are 16 networks around it already/ };
    await assert.rejects(openPlug(deep(17)), tooDeep);
    assert.throws(() => nestedLocators(deep(17)), tooDeep);
    const file = join(makeTemporaryDirectory(t), 'round');
    writeFileSync(file, `vlan://4{${file}}\n`);
    await assert.rejects(openPlug(file), tooDeep);
  });

  test('without braces are around the default network', async (t) => {
    const home = makeTemporaryDirectory(t);
    const { HOME } = process.env;
    t.after(() => {
      process.env['HOME'] = HOME;
    });
    process.env['HOME'] = home;
    writeFileSync(join(home, 'alias'), 'null://\n');
    mkdirSync(join(home, '.vdeplug'));
    symlinkSync(join(home, 'alias'), join(home, '.vdeplug', 'default'));
    for (const text of ['vlan://4', 'vlan://4{}', 'restart://{vlan://5}']) {
      await using plug = await openPlug(text);
      assert.equal(plug.label, text);
    }
  });

  test('need the working directory when one of them does', () => {
    const table: readonly (readonly [string, boolean])[] = [
      ['vlan://4{/tmp/sw}', false],
      ['vlan://4{sw[3]}', false],
      ['vlan://4/t=5{null://}', false],
      ['vlan://4{agno://{cmd://cat}}', true],
      ['vlan://4{=cat}', true],
      ['vlan://4{vxvde:///peers=list}', true],
    ];
    for (const [text, needed] of table) assert.equal(needsDirectory(text), needed, text);
  });
});
