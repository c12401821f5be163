/** What a management console says, cut into lines and prompts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { completeCommand, readHelp } from '../../../src/commands/console-help.ts';
import { type ConsoleEvent, ConsoleReader } from '../../../src/commands/console-reader.ts';

/** One letter for each event, and its text. */
function told(events: readonly ConsoleEvent[]): string[] {
  return events.map((event) => {
    if (event.kind === 'prompt') return 'prompt';
    return event.kind === 'status' ? `status ${event.code}: ${event.text}` : `${event.line}: ${event.text}`;
  });
}

const SESSION = [
  'VDE switch V.2.3.2\n(C) somebody\n\nvde$ ',
  "0000 DATA END WITH '.'\nNumports=32\n\n3021 no notice\nvde$ no prompt\n.\n1000 Success\n\nvde$ ",
  '3011 hash/+ 02:00:00:00:00:01 VLAN 00:00 Port 1\n',
  '1017 File exists\n3021 port/+ 07\n\nvde$ \nvde$ ',
  'vde[rc]: foo\n1038 Function not implemented\n1000 Success\n\nvde$ 1-01 Unknown error -1\n\nvde$ 9999 END OF SESSION',
].join('');

const TOLD = [
  ...['text: VDE switch V.2.3.2', 'text: (C) somebody', 'prompt'],
  ...["frame: 0000 DATA END WITH '.'", 'data: Numports=32', 'data: ', 'data: 3021 no notice', 'data: vde$ no prompt'],
  ...['frame: .', 'status 1000: 1000 Success', 'prompt'],
  'notice: 3011 hash/+ 02:00:00:00:00:01 VLAN 00:00 Port 1',
  ...['status 1017: 1017 File exists', 'notice: 3021 port/+ 07', 'prompt', 'prompt'],
  ...['text: vde[rc]: foo', 'status 1038: 1038 Function not implemented', 'status 1000: 1000 Success', 'prompt'],
  ...['status 1: 1-01 Unknown error -1', 'prompt', 'status 9999: 9999 END OF SESSION'],
];

test('tells data, statuses, notices and prompts apart, in pieces of any length', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(SESSION.length), { maxLength: 20 }), (cuts) => {
      const reader = new ConsoleReader();
      // Nobody asks before the greeting is over.
      const ends = [...cuts, SESSION.indexOf('0000'), SESSION.length].toSorted((a, b) => a - b);
      const events = ends.flatMap((end, index) =>
        reader.read(Buffer.from(SESSION.slice(index === 0 ? 0 : ends[index - 1], end))),
      );
      assert.deepEqual(told([...events, ...reader.end()]), TOLD);
      assert.equal(reader.prompt, 'vde$ ');
    }),
  );
});

test('learns the prompt of each kind of console', () => {
  for (const prompt of ['vde$ ', 'VDEwf$ ', 'VDE-L3$ ', 'VDEal$ ']) {
    const reader = new ConsoleReader();
    assert.deepEqual(told(reader.read(Buffer.from(`banner\n\n${prompt}`))), ['text: banner', 'prompt']);
    assert.equal(reader.prompt, prompt);
  }
});

test('a line without an end is an error', () => {
  const reader = new ConsoleReader();
  const endless = Buffer.alloc(40_000, 'x');
  assert.deepEqual(reader.read(endless), []);
  assert.throws(() => reader.read(endless), { code: 'ERR_SWITCH', message: /80000 characters without the end/ });
});

test('nothing that arrives makes it throw but a line without an end', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (pieces) => {
      const reader = new ConsoleReader();
      for (const piece of pieces) reader.read(Buffer.from(piece));
      reader.end();
    }),
  );
});

const HELP = new ConsoleReader().read(
  Buffer.from(
    [
      "0000 DATA END WITH '.'",
      'COMMAND PATH       SYNTAX          HELP',
      '------------       --------------  ------------',
      'help               [arg]           Help (limited to arg when specified)',
      'logout                             logout from this mgmt terminal',
      'showinfo                           show switch version and info',
      'port               ============    PORT STATUS MENU',
      'port/showinfo                      show port info',
      'port/create        N               create the port N (inactive|notallocatable)',
      'port/createauto                    create a port with an id',
      '.\n',
    ].join('\n'),
  ),
);

test('completes what help lists', () => {
  const help = readHelp(HELP);
  assert.deepEqual(help.menus, ['port']);
  assert.deepEqual(completeCommand(help, 'port/cr'), [['port/create ', 'port/createauto'], 'port/cr']);
  assert.deepEqual(completeCommand(help, '  lo'), [['logout'], 'lo']);
  assert.deepEqual(completeCommand(help, '')[0].length, 6);
  assert.deepEqual(completeCommand(help, 'help po'), [
    ['port', 'port/showinfo', 'port/create', 'port/createauto'],
    'po',
  ]);
  assert.deepEqual(completeCommand(help, 'port/create 3'), [[], '3']);
  assert.deepEqual(readHelp([]), { commands: [], menus: [] });
});
