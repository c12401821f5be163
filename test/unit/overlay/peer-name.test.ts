/** Peers, in options and in files: what is read, what is refused, and that no text does any harm. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VdensError } from '../../../src/errors.ts';
import { literalAddress } from '../../../src/overlay/host.ts';
import { MAX_PEERS, parsePeer, parsePeerList } from '../../../src/overlay/peer-name.ts';

test('a peer is a name or an address, with a port or without', () => {
  const table = [
    ['192.0.2.7', '192.0.2.7', 4789],
    ['192.0.2.7:5', '192.0.2.7', 5],
    ['192.0.2.7:65535', '192.0.2.7', 65535],
    ['box', 'box', 4789],
    ['box:5', 'box', 5],
    ['my_box.example.org.', 'my_box.example.org.', 4789],
    ['7up.example', '7up.example', 4789],
    ['bücher.example:80', 'bücher.example', 80],
    ['fd00::1', 'fd00::1', 4789],
    ['fd00::1:5', 'fd00::1:5', 4789],
    ['::1', '::1', 4789],
    ['[fd00::1]', 'fd00::1', 4789],
    ['[fd00::1]:5', 'fd00::1', 5],
  ] as const;
  for (const [text, host, port] of table) assert.deepEqual(parsePeer(text, 4789), { host, port }, text);
});

test('a peer that is none is refused, with a right one', () => {
  const example = 'Write, for example, 192.0.2.7:4789, [2001:db8::7]:4789 or a name';
  const anyAddress = 'Write, for example, 10.0.0.1 or fd00::1';
  const port = 'has no port from 1 to 65535 after its colon';
  const neither = 'is neither an address nor the name of a host. Write, for example, 192.0.2.7';
  const table = [
    ['', `"" ${neither}`],
    [':5', `"" ${neither}`],
    ['a b', `"a b" ${neither}`],
    ['a,b', `"a,b" ${neither}`],
    ['-a', `"-a" ${neither}`],
    ['a\nb', `"a\\x0ab" ${neither}`],
    ['a'.repeat(254), `"${'a'.repeat(80)}…" ${neither}`],
    ['10.1', `"10.1" is not an IP address. ${anyAddress}`],
    ['10.0.0.256', `"10.0.0.256" is not an IP address. ${anyAddress}`],
    ['0x7f000001', `"0x7f000001" is not an IP address. ${anyAddress}`],
    ['5', `"5" is not an IP address. ${anyAddress}`],
    ['fd00::1::2', '"fd00::1::2" is not an IPv6 address. Write, for example, fd00::1'],
    ['fe80::1%eth0', '"fe80::1%eth0" has a zone. Leave it out: fe80::1'],
    ['::ffff:10.0.0.1', '"::ffff:10.0.0.1" is an IPv4 address within an IPv6 one. Write 10.0.0.1'],
    ['box:', `"box:" ${port}. ${example}`],
    ['box:0', `"box:0" ${port}. ${example}`],
    ['box:65536', `"box:65536" ${port}. ${example}`],
    ['box:http', `"box:http" ${port}. ${example}`],
    ['box:+5', `"box:+5" ${port}. ${example}`],
    ['[fd00::1]:', `"[fd00::1]:" ${port}. ${example}`],
    ['[fd00::1]5', `"[fd00::1]5" has brackets, but no IPv6 address in them. ${example}`],
    ['[fd00::1', `"[fd00::1" has brackets, but no IPv6 address in them. ${example}`],
    ['[box]:5', `"[box]:5" has brackets, but no IPv6 address in them. ${example}`],
    ['239.0.0.1', `"239.0.0.1" is not the address of one host. ${example}`],
    ['ff05::1', `"ff05::1" is not the address of one host. ${example}`],
    ['0.0.0.0', `"0.0.0.0" is not the address of one host. ${example}`],
    ['[::]:5', `"[::]:5" is not the address of one host. ${example}`],
    ['255.255.255.255', `"255.255.255.255" is not the address of one host. ${example}`],
  ] as const;
  for (const [text, message] of table) {
    assert.throws(() => parsePeer(text, 4789), { code: 'ERR_ADDRESS', message }, text);
  }
});

test('a file has one peer on each line, comments and empty lines', () => {
  const text = '\uFEFF# all of us\r\n\r\n10.0.0.1\r\n  box:5 # the printer\n\t[fd00::1]:6\t\n#10.0.0.9\nfd00::2';
  assert.deepEqual(parsePeerList(text, 14789), {
    peers: [
      { host: '10.0.0.1', port: 14789 },
      { host: 'box', port: 5 },
      { host: 'fd00::1', port: 6 },
      { host: 'fd00::2', port: 14789 },
    ],
    problems: [],
  });
  assert.deepEqual(parsePeerList('', 1), { peers: [], problems: [] });
  assert.deepEqual(parsePeerList('\n# nobody', 1), { peers: [], problems: [] });
});

test('a line that is wrong is told by its number, and the others count', () => {
  const { peers, problems } = parsePeerList('10.0.0.1\n10.0.0.300\r\n\nbox box2\nbox:x\n10.0.0.2', 1);
  assert.deepEqual(
    peers.map(({ host }) => host),
    ['10.0.0.1', '10.0.0.2'],
  );
  assert.deepEqual(problems, [
    'line 2: "10.0.0.300" is not an IP address. Write, for example, 10.0.0.1 or fd00::1',
    'line 4: "box box2" is more than one word. Write one peer on each line',
    'line 5: "box:x" has no port from 1 to 65535 after its colon. Write, for example, 192.0.2.7:4789, [2001:db8::7]:4789 or a name',
  ]);
});

test('a file of something else is told in a few lines', () => {
  const { peers, problems } = parsePeerList('?\n'.repeat(100), 1);
  assert.deepEqual([peers.length, problems.length], [0, 11]);
  assert.equal(problems.at(-1), '90 more lines are wrong. Is this a list of peers?');
});

test('a file has as many peers as there is room for', () => {
  const full = Array.from({ length: MAX_PEERS }, (_, i) => `host${i}\n`).join('');
  assert.deepEqual([parsePeerList(full, 1).peers.length, parsePeerList(full, 1).problems], [MAX_PEERS, []]);
  const { peers, problems } = parsePeerList(`${full}# one more\none-more\nanother\n`, 1);
  assert.equal(peers.length, MAX_PEERS);
  assert.deepEqual(problems, ['line 1026: these are more than 1024 peers, and the rest is left out. Name fewer']);
});

const piece = fc.constantFrom('10.0.0.1', 'fd00::1', '[', ']', ':', '5', '%', 'box', ' ', '#', '\r', '\n', '\t', '\0');
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.array(piece, { maxLength: 12 }).map((parts) => parts.join('')),
);

test('no text makes it throw anything but one error, and what is read is a peer', () => {
  fc.assert(
    fc.property(text, (word) => {
      try {
        const { host, port } = parsePeer(word, 4789);
        assert.ok(port >= 1 && port <= 65535);
        assert.doesNotMatch(host, /[\s[\]]/);
        literalAddress(host);
      } catch (error) {
        assert.ok(error instanceof VdensError && error.code === 'ERR_ADDRESS', String(error));
      }
    }),
    { numRuns: 5000 },
  );
});

test('no file makes it throw, and each problem is one line that a terminal can show', () => {
  fc.assert(
    fc.property(text, (file) => {
      for (const problem of parsePeerList(file, 1).problems) assert.match(problem, /^(line \d+: )?\P{Cc}+$/u);
    }),
    { numRuns: 5000 },
  );
});
