/** The text of locators: both styles, quoting, shortened keys, braces, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VdensError } from '../../../src/errors.ts';
import { parseLocator } from '../../../src/locator/locator.ts';
import { OPENABLE_SCHEMES, SCHEMES } from '../../../src/locator/schemes.ts';

type Expectation = readonly [
  text: string,
  scheme: string,
  address: string,
  options: Record<string, string>,
  inner?: string,
];

function check(table: readonly Expectation[]): void {
  for (const [text, scheme, address, options, inner] of table) {
    const locator = parseLocator(text, { home: '/home/u' });
    const seen = [locator.scheme, locator.address, Object.fromEntries(locator.options), locator.inner, locator.text];
    assert.deepEqual(seen, [scheme, address, options, inner, text], text);
  }
}

test('takes a word without a scheme for the path of a switch', () => {
  check([
    ['/run/sw', 'vde', '/run/sw', {}],
    ['sw', 'vde', 'sw', {}],
    ['/run/sw[3]', 'vde', '/run/sw', { port: '3' }],
    ['[3]', 'vde', '', { port: '3' }],
    ['', 'vde', '', {}],
    ['vde://', 'vde', '', {}],
  ]);
});

test('reads bracket style: slashes belong to the path, the list ends at the last bracket', () => {
  check([
    ['vde:///run/sw[port=3/mode=660]', 'vde', '/run/sw', { port: '3', mode: '660' }],
    ['vde:///run/sw[staff/group=users]', 'vde', '/run/sw', { port: 'staff', group: 'users' }],
    ['vde:///run/sw[3', 'vde', '/run/sw', { port: '3' }],
    ['vde:///run/sw[a]b]', 'vde', '/run/sw', { port: 'a]b' }],
    ['vde:///run/sw[]', 'vde', '/run/sw', {}],
    ['vde:///run/sw[//=x/3/]', 'vde', '/run/sw', { port: '3' }],
    ['hub:///tmp/h[mode=666/expiretime=5]', 'hub', '/tmp/h', { mode: '666', expiretime: '5' }],
    ['vdesl:///dev/ttyS0[speed=9600]', 'vdesl', '/dev/ttyS0', { speed: '9600' }],
  ]);
});

test('reads slash style, and brackets for the same schemes', () => {
  check([
    ['vxvde://239.1.2.3/port=1234/v4', 'vxvde', '239.1.2.3', { port: '1234', v4: '' }],
    ['vxvde:///grp=', 'vxvde', '', { grp: '' }],
    ['vxvde://ff05::1/port=1', 'vxvde', 'ff05::1', { port: '1' }],
    ['vxvde://[ff05::1]/port=1', 'vxvde', 'ff05::1', { port: '1' }],
    ['vxvde://[ff05::1][port=1]', 'vxvde', 'ff05::1', { port: '1' }],
    ['vxvde://[ff05::1]', 'vxvde', 'ff05::1', {}],
    ['vxvde://239.1.2.3[port=1234/v4]', 'vxvde', '239.1.2.3', { port: '1234', v4: '' }],
    ['slirp://[v4]', 'slirp', '', { v4: '' }],
    ['slirp:///tcpfwd=[::1]:80', 'slirp', '', { tcpfwd: '[::1]:80' }],
    ['vxlan://', 'vxlan', '', {}],
    ['restart://30', 'restart', '30', {}],
  ]);
});

test('takes quoting off after it looked for delimiters', () => {
  check([
    ["slirp:///addr='10.1.0.2/16'/v4", 'slirp', '', { addr: '10.1.0.2/16', v4: '' }],
    ['slirp:///addr=10.1.0.2\\/16', 'slirp', '', { addr: '10.1.0.2/16' }],
    ['slirp:///addr=10.1.0.2%2f16', 'slirp', '', { addr: '10.1.0.2/16' }],
    ["/tmp/'sw'", 'vde', '/tmp/sw', {}],
    ['/tmp/s%77', 'vde', '/tmp/sw', {}],
    ['/tmp/s%5B1%5d[2]', 'vde', '/tmp/s[1]', { port: '2' }],
    ['/tmp/"s[1]"[2]', 'vde', '/tmp/s[1]', { port: '2' }],
    ['/tmp/%zz%', 'vde', '/tmp/%zz%', {}],
    ["/tmp/'a\\b%41\"c'", 'vde', '/tmp/a\\b%41"c', {}],
    ["/tmp/'never closed[3]", 'vde', '/tmp/never closed[3]', {}],
    ['/tmp/x\\', 'vde', '/tmp/x\\', {}],
    ['/tmp/caf%c3%a9', 'vde', '/tmp/café', {}],
  ]);
});

test('finds keys by any prefix, the first of the table winning, and the last mention of a key', () => {
  check([
    ['vxvde:///v=7', 'vxvde', '', { vni: '7' }],
    ['vxvde:///p=1/po=2/port=3', 'vxvde', '', { port: '3' }],
    ['agno://[e=copy]{vde://}', 'agno', '', { ethtype: 'copy' }, 'vde://'],
    ['vde://[g=users]', 'vde', '', { group: 'users' }],
    ['vde://[portgroup=staff]', 'vde', '', { port: 'staff' }],
    ['vde://[portg=staff/7]', 'vde', '', { port: '7' }],
    ['vde://[mode]', 'vde', '', { port: 'mode' }],
    ['hub://[mode]', 'hub', '', { mode: '' }],
    ['vlan://5/t=2.3/x/ad{vde://}', 'vlan', '5', { tag: '2.3', trunk: '', qinq: '' }, 'vde://'],
    ['slirp:///host=10.0.0.1/addr=10.0.0.0', 'slirp', '', { host: '10.0.0.1', addr: '10.0.0.0' }],
  ]);
});

test('keeps options in the order of their last mention', () => {
  assert.deepEqual([...parseLocator('slirp:///host=1/addr=2/host=3').options.keys()], ['addr', 'host']);
});

test('has every value of an option that may be repeated, and says so of no other', () => {
  const { options, repeated } = parseLocator('vxvde:///peer=10.0.0.1/pee=[fd00::1]:5/port=1/port=2/peer=10.0.0.1');
  assert.deepEqual(Object.fromEntries(options), { port: '2', peer: '10.0.0.1' });
  assert.deepEqual(Object.fromEntries(repeated), { peer: ['10.0.0.1', '[fd00::1]:5', '10.0.0.1'] });
  assert.equal(parseLocator('vxlan:///peers=lan').repeated.size, 0);
});

test('new keys leave the meaning of shortened ones as it was', () => {
  check([
    ['vxlan:///p=1/v=2/t=3/r=4/h=5/e=6/i=7', 'vxlan', '', lanOptions],
    ['vxvde:///p=1/v=2/t=3/r=4/h=5/e=6/i=7', 'vxvde', '', lanOptions],
    ['vxlan:///b=1/g=2/pe=3/peers=4', 'vxlan', '', { bind: '1', grp: '2', peer: '3', peers: '4' }],
    ['vxvdex:///p=1/b=2/g=3', 'vxvdex', '', { port: '1', bind: '2', grp: '3' }],
  ]);
  assert.throws(() => parseLocator('vxvdex:///peer=1'), { code: 'ERR_LOCATOR' });
});

const lanOptions = { port: '1', vni: '2', ttl: '3', rcvbuf: '4', hashsize: '5', expiretime: '6', if: '7' };

test('a path as a value has its slashes quoted, and who forgets that is told', () => {
  const path = { peers: '/etc/lan' };
  check([
    ["vxvde:///peers='/etc/lan'", 'vxvde', '', path],
    ['vxvde:///peers=%2fetc%2flan', 'vxvde', '', path],
    ['vxvde:///peers=\\/etc\\/lan/port=1', 'vxvde', '', { ...path, port: '1' }],
    ['vxvde:///peers=lan.txt/v6/g/', 'vxvde', '', { peers: 'lan.txt', v6: '', grp: '' }],
    ['vxvde:///peers=/v6', 'vxvde', '', { peers: '', v6: '' }],
  ]);
  const table = [
    ['vxvde:///peers=/etc/lan', '/etc/lan'],
    ['vxlan:///peers=/p', '/p'],
    ['vxvde:///peers=./lan/port=1', './lan'],
    ['vxvde:///peers=lan/all.txt/v6', 'lan/all.txt'],
    ['vxvde:///port=5/peers=//etc/lan/', '//etc/lan/'],
  ] as const;
  for (const [text, value] of table) {
    const message = `${text}: a slash ends the value of "peers", unless it is quoted. Write peers=${value.replaceAll('/', '%2f')}`;
    assert.throws(() => parseLocator(text), { code: 'ERR_LOCATOR', message, value });
  }
});

test('passes the text in braces on, still quoted', () => {
  check([
    ['vlan://1/u=2{vlan:///t=3{/tmp/sw[4]}}', 'vlan', '1', { untag: '2' }, 'vlan:///t=3{/tmp/sw[4]}'],
    ["agno:///key[ethtype=x]{'a}b'%7d}", 'agno', '/key', { ethtype: 'x' }, "'a}b'%7d"],
    ['agno:///key', 'agno', '/key', {}],
    ['agno:///key{}', 'agno', '/key', {}, ''],
    ['/tmp/a{b}', 'vde', '/tmp/a{b}', {}],
  ]);
});

test('leaves everything after a raw scheme as it is', () => {
  check([
    ["cmd://ssh 'host' vde_plug[1]/%41", 'cmd', "ssh 'host' vde_plug[1]/%41", {}],
    ['udp://::1:5->::1:6', 'udp', '::1:5->::1:6', {}],
    ['tap://tap0', 'tap', 'tap0', {}],
    ['null://', 'null', '', {}],
    ['ptp:///tmp/p[1]', 'ptp', '/tmp/p[1]', {}],
  ]);
});

test('expands ~/ in paths, unless it is quoted', () => {
  check([
    ['~/sw[1]', 'vde', '/home/u/sw', { port: '1' }],
    ['switch://~/s', 'switch', '/home/u/s', {}],
    ['ptp://~/p', 'ptp', '/home/u/p', {}],
    ['\\~/sw', 'vde', '~/sw', {}],
    ['~other/sw', 'vde', '~other/sw', {}],
    ['cmd://~/bin/x', 'cmd', '~/bin/x', {}],
    ['vlan://~/x{}', 'vlan', '~', { trunk: '' }, ''],
  ]);
  assert.equal(parseLocator('~/sw', { home: '' }).address, '~/sw');
});

test('names what is wrong and what would be right', () => {
  const known = `Write one of ${OPENABLE_SCHEMES.map((scheme) => `${scheme}://`).join(', ')}, or the path of a switch`;
  const table: readonly (readonly [string, string])[] = [
    [
      'VDE:///run/sw',
      'VDE:///run/sw: there is no kind of network called "VDE". Schemes are in lower case: write vde://',
    ],
    ['vxve://', 'vxve://: there is no kind of network called "vxve". Did you mean vxvde://?'],
    ['http://x', `http://x: there is no kind of network called "http". ${known}`],
    ['../a://x', `../a://x: there is no kind of network called "../a". ${known}`],
    ['://x', `://x: there is no kind of network called "". ${known}`],
    ['vde:///s[prt=3]', 'vde:///s[prt=3]: unknown option "prt". vde:// takes port, portgroup, group, mode'],
    [
      'vxvde:///ports=3',
      'vxvde:///ports=3: unknown option "ports". vxvde:// takes port, vni, grp, ttl, rcvbuf, v6, v4, hashsize, expiretime, if, bind, peer, peers',
    ],
    ['/run/sw[7]x', '/run/sw[7]x: nothing may follow the bracket ]. Take away "x"'],
    ['/run/sw[', '/run/sw[: the bracket [ is never closed. Add a port and ], for example [3]'],
    ['restart://1/x', 'restart://1/x: unknown option "x". restart:// takes no options'],
    ['agno://{vde://', 'agno://{vde://: the brace { is never closed. Add a }'],
    [
      'agno://{vde://}[ethtype=1]',
      'agno://{vde://}[ethtype=1]: nothing may follow the last }. Take away "[ethtype=1]"',
    ],
    ['/tmp/a%00', "/tmp/a%00: a NUL byte cannot be in a network's name. Leave it out, or write é as %c3%a9"],
    ['tap://a\0b', "tap://a%00b: a NUL byte cannot be in a network's name. Leave it out, or write é as %c3%a9"],
    ['/tmp/%ff', "/tmp/%ff: a %HH that is not UTF-8 cannot be in a network's name. Leave it out, or write é as %c3%a9"],
  ];
  for (const [text, message] of table) assert.throws(() => parseLocator(text), { code: 'ERR_LOCATOR', message });
});

test('a scheme that is none of ours may be one of the originals, where that is asked for, and is no path', () => {
  const text = "foo_2:///a'b[c]/d={e://f}";
  const { scheme, address, options, inner } = parseLocator(text, { allowForeign: true });
  assert.deepEqual([scheme, address, options.size, inner], ['foo_2', "/a'b[c]/d={e://f}", 0, undefined]);
  for (const word of [text, 'a/b://x', '..://x', 'A://x', '://x', 'a-b://x'])
    assert.throws(
      () => parseLocator(word, { allowForeign: word !== text }),
      /there is no kind of network called/,
      word,
    );
});

test('every scheme of the table parses with its own keys, each in full', () => {
  for (const [name, scheme] of SCHEMES) {
    assert.match(name, /^[a-z0-9_]+$/);
    const canonical = scheme.optionKeys.map((key) => scheme.aliases?.[key] ?? key);
    const list = scheme.optionKeys.map((key) => `${key}=1`).join('/');
    const text =
      scheme.style === 'raw' ? `${name}://` : scheme.style === 'slash' ? `${name}:///${list}` : `${name}://[${list}]`;
    const expected = new Set(canonical.map((key) => scheme.optionKeys.find((other) => other.startsWith(key)) ?? key));
    assert.deepEqual(new Set(parseLocator(text).options.keys()), expected, name);
  }
});

const syntax = fc.string({ unit: fc.constantFrom(...'vde:/[]{}=\'"\\%2f~ aé.-\0\n\x1b'), maxLength: 40 });

test('no text makes it throw anything but one line of its own', () => {
  const scheme = fc.constantFrom('', ...[...SCHEMES.keys()].map((name) => `${name}://`));
  fc.assert(
    fc.property(scheme, syntax, (start, end) => {
      try {
        parseLocator(start + end);
      } catch (error) {
        assert.ok(error instanceof VdensError && error.code === 'ERR_LOCATOR', String(error));
        assert.doesNotMatch(error.message, /\p{Cc}/u);
      }
    }),
    { numRuns: 5000 },
  );
});

test('every way of quoting brings back what was quoted', () => {
  const quotes: readonly ((char: string) => string)[] = [
    (char) => `\\${char}`,
    (char) => (char === "'" ? `"'"` : `'${char}'`),
    (char) => (char === '"' ? `'"'` : `"${char}"`),
    (char) => [...Buffer.from(char)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  ];
  const quoted = fc
    .array(
      fc.tuple(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }).filter((char) => char !== '\0'),
        fc.constantFrom(...quotes),
      ),
    )
    .map((parts) => ({
      plain: parts.map(([char]) => char).join(''),
      text: parts.map(([char, quote]) => quote(char)).join(''),
    }));
  fc.assert(
    fc.property(quoted, quoted, (path, value) => {
      const inBrackets = parseLocator(`vde://${path.text}[group=${value.text}]`);
      assert.equal(inBrackets.address, path.plain);
      assert.equal(inBrackets.options.get('group'), value.plain);
      const afterSlash = parseLocator(`slirp://${path.text}/bootfile=${value.text}/v4`);
      assert.deepEqual([afterSlash.address, ...afterSlash.options.values()], [path.plain, value.plain, '']);
      assert.equal(parseLocator(`vlan://${path.text}{${value.text}}`).inner, value.text);
    }),
  );
});
