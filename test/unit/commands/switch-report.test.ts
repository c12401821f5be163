/** What `vde switch` shows: fits every terminal, and can be read by awk(1). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatReport, formatTable, type PortStatus, type SegmentStatus } from '../../../src/commands/switch-report.ts';
import { cutToWidth, widthOfLine } from '../../../src/commands/text-table.ts';

const QUIET = { frames: 0, bytes: 0, drops: {} };

function port(number: number, more: Partial<PortStatus> = {}): PortStatus {
  return { number, kind: 'socket', description: 'vdens user=1000 pid=42', in: QUIET, out: QUIET, ...more };
}

function segment(ports: readonly PortStatus[], uptimeSeconds = 12): SegmentStatus {
  return { path: '/tmp/lan', isHub: false, stationCount: 3, uptimeSeconds, ports };
}

const BUSY = port(2, {
  kind: 'tap',
  in: { frames: 13_000, bytes: 1_230_000_000, drops: { 'too-short': 1 } },
  out: { frames: 5, bytes: 500, drops: { 'queue-full': 2, 'peer-slow': 30 } },
});
const EARLIER = segment([port(1), port(2, { in: { frames: 1000, bytes: 230_000_000, drops: {} } })], 10);
const WIDE = { columns: 160, rows: 24 };

test('the table has a line for each port, with rates and totals', () => {
  const busy = { ...BUSY, in: { ...BUSY.in, drops: {} }, out: { ...BUSY.out, drops: {} } };
  assert.deepEqual(formatTable(segment([port(1), busy]), EARLIER, { columns: 100, rows: 24 }), [
    '/tmp/lan: switch, 2 ports, 3 stations, up 12 s',
    '',
    'port kind     in/s in B/s out/s out B/s    in  in B   out out B peer',
    '   1 socket      0      0     0       0     0     0     0     0 vdens user=1000 pid=42',
    '   2 tap     6.00k   500M     3     250 13.0k 1.23G     5   500 vdens user=1000 pid=42',
  ]);
});

test('drops are told by direction and reason, in a column that is there when something was dropped', () => {
  const [, , heading = '', first = '', second = ''] = formatTable(segment([port(1), BUSY]), EARLIER, WIDE);
  assert.match(heading, / out B dropped +peer$/);
  assert.match(first, / 0 - +vdens user/);
  assert.match(second, / 500 in:too-short=1,out:peer-slow=30,out:queue-full=2 vdens user/);
});

test('a client that took the number of another is not measured by the other', () => {
  const before = segment([port(1, { in: { frames: 500, bytes: 50_000, drops: {} } })], 10);
  const now = segment([port(1, { in: { frames: 20, bytes: 2000, drops: {} } })], 12);
  assert.match(formatTable(now, before, WIDE)[3]!, /^ {3}1 socket {5}10 {2}1\.00k /);
});

test('a switch without ports says how to join it, and a hub does not count stations', () => {
  assert.deepEqual(formatTable({ ...segment([]), isHub: true }, EARLIER, WIDE), [
    '/tmp/lan: hub, 0 ports, up 12 s',
    '',
    'Nobody is here yet. Join with: vdens /tmp/lan',
  ]);
});

test('a path cannot do things to the terminal', () => {
  const path = '/tmp/\x1b]0;x\x07\n';
  for (const text of [
    formatTable({ ...segment([]), path }, EARLIER, WIDE).join(''),
    formatReport({ ...segment([]), path }, []),
  ]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
    assert.doesNotMatch(text, /[\x1b\x07]/);
  }
});

test('ports that have no room are counted', () => {
  const ports = Array.from({ length: 30 }, (_, index) => port(index + 1));
  const lines = formatTable(segment(ports), EARLIER, { columns: 80, rows: 12 });
  assert.equal(lines.length, 11);
  assert.match(lines.at(-2)!, /^ {3}7 /);
  assert.match(lines.at(-1)!, /^… and 23 more: kill -USR1 \d+ lists all$/);
});

test('totals give way to the peer on narrow terminals, the port and its rates in bytes last', () => {
  const heading = (columns: number): string => formatTable(segment([port(1)]), EARLIER, { columns, rows: 24 })[2]!;
  assert.match(heading(100), / in +in B +out out B peer$/);
  assert.match(heading(70), /^port kind {5}in\/s in B\/s out\/s out B\/s +in B out B peer$/);
  assert.match(heading(60), /^port kind {5}in\/s in B\/s out\/s out B\/s peer$/);
  assert.match(heading(40), /^port kind {4}in B\/s out B\/s peer$/);
});

test('no terminal is too small', () => {
  const description = fc.string({ unit: 'grapheme', maxLength: 60 });
  const direction = fc.record({
    frames: fc.nat(),
    bytes: fc.maxSafeNat(),
    drops: fc.constantFrom({}, { 'peer-slow': 12 }, { 'too-long': 1e9, refused: 3 }),
  });
  const ports = fc.array(
    fc.record({ number: fc.nat(4096), kind: fc.constant('tap'), description, in: direction, out: direction }),
    { maxLength: 40 },
  );
  const size = fc.record({ columns: fc.integer({ min: 1, max: 200 }), rows: fc.integer({ min: 1, max: 50 }) });
  fc.assert(
    fc.property(ports, size, (list, { columns, rows }) => {
      const lines = formatTable(segment(list), EARLIER, { columns, rows });
      assert.ok(lines.length <= Math.max(rows - 1, 1), `${lines.length} lines in ${rows} rows`);
      for (const line of lines) assert.ok(widthOfLine(line) < Math.max(columns, 1), line);
    }),
  );
});

test('letters that may be two columns wide count as two', () => {
  assert.equal(cutToWidth('ab漢字', 4), 'ab漢');
  assert.equal(cutToWidth('ab漢字', 5), 'ab漢');
  assert.equal(cutToWidth('… 12', 3), '… 1');
  assert.equal(widthOfLine('é…漢'), 4);
});

test('the report has a line for each port and each station', () => {
  const table = [
    { mac: '02:00:00:00:00:01', vlan: 0, port: 1, ageSeconds: 2.34 },
    { mac: '02:00:00:00:00:02', vlan: 1029, port: 2, ageSeconds: 100 },
  ];
  assert.equal(
    formatReport(segment([port(1, { description: '' }), BUSY]), table),
    [
      '# /tmp/lan: switch, 2 ports, 3 stations, up 12 s',
      '# port kind   in-frames in-bytes   out-frames out-bytes dropped                                          description',
      'port 1 socket 0         0          0          0         -',
      'port 2 tap    13000     1230000000 5          500       in:too-short=1,out:peer-slow=30,out:queue-full=2 vdens user=1000 pid=42',
      '# station                 vlan port age-seconds',
      'station 02:00:00:00:00:01 0    1    2.3',
      'station 02:00:00:00:00:02 1029 2    100.0',
      '',
    ].join('\n'),
  );
});
