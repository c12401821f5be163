/** udp://: both ends of the line, and what is said when there are not two. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VdensError } from '../../../src/errors.ts';
import { parseLocator } from '../../../src/locator/locator.ts';
import { udpOptions } from '../../../src/locator/udp-locator.ts';

test('our port, or address and port; then those of the other end', () => {
  const table = [
    ['5->10.0.0.1:6', undefined, '5', '10.0.0.1', '6'],
    ['10.0.0.2:5->10.0.0.1:6', '10.0.0.2', '5', '10.0.0.1', '6'],
    [':5->box:6', undefined, '5', 'box', '6'],
    ['0->box:6', undefined, '0', 'box', '6'],
    ['box:domain->other.example.org:65535', 'box', 'domain', 'other.example.org', '65535'],
    ['::1:5->::1:6', '::1', '5', '::1', '6'],
    ['[::1]:5->[fd00::1]:6', '::1', '5', 'fd00::1', '6'],
    ['0.0.0.0:5->127.0.0.1:6', '0.0.0.0', '5', '127.0.0.1', '6'],
    ['[::]:5->::1:6', '::', '5', '::1', '6'],
    ['5->fe80::1%eth0:6', undefined, '5', 'fe80::1%eth0', '6'],
    ['5->[fe80::1%eth0]:6', undefined, '5', 'fe80::1%eth0', '6'],
    ['5->box:3com-tsmux', undefined, '5', 'box', '3com-tsmux'],
  ] as const;
  for (const [text, from, port, host, service] of table) {
    const source = from === undefined ? { service: port } : { host: from, service: port };
    assert.deepEqual(udpOptions(parseLocator(`udp://${text}`)), { source, destination: { host, service } }, text);
  }
});

test('what is no line between two is refused, with one that is', () => {
  const noArrow = 'there is no "->" in it, or the shell took it';
  const from = 'before "->" is not PORT or ADDRESS:PORT';
  const to = 'after "->" is not ADDRESS:PORT';
  const neither = 'is neither an address nor a name. The port follows the last colon';
  const table = [
    ['', noArrow],
    ['5000-', noArrow],
    ['box:6', noArrow],
    ['->box:6', `"" ${from}`],
    ['10.0.0.1->box:6', `"10.0.0.1" ${from}`],
    ['10.0.0.1:->box:6', `"10.0.0.1:" ${from}`],
    ['[::1]->box:6', `"[::1]" ${from}`],
    ['70000->box:6', '"70000" is not a port: the largest is 65535'],
    ['239.0.0.1:5->box:6', '"239.0.0.1" is a multicast group, and nobody can send from one'],
    ['5->', `"" ${to}`],
    ['5->6', `"6" ${to}`],
    ['5->:6', `":6" ${to}`],
    ['5->10.0.0.1', `"10.0.0.1" ${to}`],
    ['5->10.0.0.1:', `"10.0.0.1:" ${to}`],
    ['5->box', `"box" ${to}`],
    ['5->box:-6', `"box:-6" ${to}`],
    ['5->box:a b', `"box:a b" ${to}`],
    ['5->box:6->other:7', `"box:6->other" ${neither}`],
    ['5->box:65536', '"65536" is not a port: the largest is 65535'],
    ['5->box:0', 'nobody can be reached at port 0'],
    ['5->box:000', 'nobody can be reached at port 0'],
    ['5->fd00::5', `"fd00:" ${neither}`],
    ['5->10.1:6', `"10.1" ${neither}`],
    ['5->[box]:6', `"[box]" ${neither}`],
    ['5->239.0.0.1:6', '"239.0.0.1" is a multicast group. For many hosts, take vxvde://239.0.0.1'],
    ['5->[ff05::1]:6', '"ff05::1" is a multicast group. For many hosts, take vxvde://ff05::1'],
    ['5->0.0.0.0:6', '"0.0.0.0" is not the address of one host'],
    ['5->:::6', '"::" is not the address of one host'],
    ['5->255.255.255.255:6', '"255.255.255.255" is not the address of one host'],
    ['5->fe80::1:6', '"fe80::1" is on every link: say on which, as in [fe80::1%eth0]:5000'],
    ['5->fd00::1%eth0:6', '"fd00::1%eth0" has a zone that it does not need'],
    ['10.0.0.1:5->[::1]:6', 'one address is IPv4, the other IPv6, and a line is either'],
  ] as const;
  for (const [end, problem] of table) {
    const text = `udp://${end}`;
    const message = `${text}: ${problem}. Write, in quotes, 'udp://5000->192.0.2.7:5000'`;
    assert.throws(() => udpOptions(parseLocator(text)), { code: 'ERR_LOCATOR', message }, text);
  }
});

const part = fc.constantFrom('->', ':', '5', '0', '10.0.0.1', 'fd00::1', '[', ']', '%', 'eth0', 'box', ' ', '\n', '\0');
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.array(part, { maxLength: 9 }).map((parts) => parts.join('')),
  fc.tuple(fc.array(part, { maxLength: 4 }), fc.array(part, { maxLength: 4 })).map(([left, right]) => {
    return `${left.join('')}->${right.join('')}:6`;
  }),
);

test('no text makes it say anything but two ends, or one line of what is wrong', () => {
  fc.assert(
    fc.property(text, (ends) => {
      try {
        const { source, destination } = udpOptions(parseLocator(`udp://${ends}`));
        for (const word of [source.host ?? 'none', source.service, destination.host, destination.service]) {
          assert.match(word, /^[^\s[\]]+$/);
        }
      } catch (error) {
        assert.ok(error instanceof VdensError && error.code === 'ERR_LOCATOR', String(error));
        assert.doesNotMatch(error.message, /[\p{Cc}\u2028\u2029]/u);
      }
    }),
    { numRuns: 5000 },
  );
});
