/** One who manages: reads, answers and prompts. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { ConsoleCommand } from '../../../src/console/command.ts';
import { DEBUG_MENU, LOGOUT } from '../../../src/console/common-commands.ts';
import { Interpreter } from '../../../src/console/interpreter.ts';
import { type ConsoleService, REST_OF_LINE_MS, Session } from '../../../src/console/session.ts';

const PROMPT = '\nvde$ ';

interface Peer {
  readonly session: Session;
  readonly prompts: string[];
  /** What was written since the last time it was asked. */
  said(): string;
  isReady: boolean;
  ends: string[];
  shutdowns: number;
  /** How often something was written. */
  writes: number;
}

function open(options: { readonly hasOwnPrompt?: boolean; readonly canLogOut?: boolean } = {}): Peer {
  let text = '';
  const commands: readonly ConsoleCommand[] = [
    { path: 'ok', help: '', run: () => undefined },
    {
      path: 'happen',
      help: '',
      run: ({ print }) => {
        session.tell('port/+', '01');
        print('done');
      },
    },
    { path: 'shutdown', help: '', run: () => 'shutdown' },
    LOGOUT,
    ...DEBUG_MENU,
  ];
  const peer = { prompts: [] as string[], isReady: true, ends: [] as string[], shutdowns: 0, writes: 0 };
  const service: ConsoleService = {
    name: 'vde',
    banner: ['VDE switch V.1', 'of ours'],
    interpreter: new Interpreter('vde', commands),
    categories: [{ path: 'port/+', tag: '021', help: '' }],
    shutdown: () => {
      peer.shutdowns += 1;
    },
  };
  const session: Session = new Session(service, {
    write: (part) => {
      text += part;
      peer.writes += 1;
    },
    isReady: () => peer.isReady,
    end: (why) => void peer.ends.push(why),
    ...(options.hasOwnPrompt === true ? { prompt: (part: string) => void peer.prompts.push(part) } : {}),
    ...(options.canLogOut === undefined ? {} : { canLogOut: options.canLogOut }),
  });
  return Object.assign(peer, {
    session,
    said: () => {
      const said = text;
      text = '';
      return said;
    },
  });
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

test('a banner of two lines, an empty line, and the prompt, which no newline follows', () => {
  const { session, said } = open();
  session.greet();
  assert.equal(said(), `VDE switch V.1\nof ours\n${PROMPT}`);
});

test('an answer is written in one piece, with what happens while the command runs, and its prompt', () => {
  const peer = open();
  peer.session.take(bytes('debug/add\n'));
  peer.said();
  const before = peer.writes;
  peer.session.take(bytes('happen\n'));
  assert.equal(peer.said(), `3021 port/+ 01\n0000 DATA END WITH '.'\ndone\n.\n1000 Success\n${PROMPT}`);
  assert.equal(peer.writes, before + 1);
});

test('each of several lines in one read is answered', () => {
  const { session, said } = open();
  session.take(bytes('ok\n# nothing\n\nnone\n'));
  assert.equal(said(), `1000 Success\n${PROMPT}${PROMPT}${PROMPT}1038 Function not implemented\n${PROMPT}`);
});

test('a line in pieces is one command; without a newline it is one, too, when nothing follows', (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { session, said } = open();
  session.take(bytes('o'));
  mock.timers.tick(REST_OF_LINE_MS - 1);
  session.take(bytes('k'));
  mock.timers.tick(REST_OF_LINE_MS - 1);
  assert.equal(said(), '');
  session.take(bytes('\n'));
  assert.equal(said(), `1000 Success\n${PROMPT}`);
  session.take(bytes('ok'));
  mock.timers.tick(REST_OF_LINE_MS);
  assert.equal(said(), `1000 Success\n${PROMPT}`);
  mock.timers.tick(10 * REST_OF_LINE_MS);
  assert.equal(said(), '');
});

test('logout ends the session with a line that no newline follows, and nothing after it is run', () => {
  const peer = open();
  peer.session.take(bytes('ok\nlogout\nok\n'));
  assert.equal(peer.said(), `1000 Success\n${PROMPT}9999 END OF SESSION`);
  assert.deepEqual(peer.ends, ['command']);
  peer.session.take(bytes('ok\n'));
  assert.equal(peer.said(), '');
  assert.equal(peer.shutdowns, 0);
});

test('shutdown ends the session and all of it', () => {
  const peer = open();
  peer.session.take(bytes('shutdown\n'));
  assert.equal(peer.said(), '9999 END OF SESSION');
  assert.equal(peer.shutdowns, 1);
});

test('at the end of input all that came is answered, and the session ends', () => {
  const peer = open();
  peer.session.take(bytes('ok\nok'));
  peer.session.takeEnd();
  peer.session.takeEnd();
  assert.equal(peer.said(), `1000 Success\n${PROMPT}`.repeat(2));
  assert.deepEqual(peer.ends, ['input']);
});

test('who does not read gets no further answer until it does', () => {
  const peer = open();
  peer.isReady = false;
  peer.session.take(bytes('ok\nok\n'));
  peer.session.takeEnd();
  assert.equal(peer.said(), '');
  assert.equal(peer.session.isBehind, true);
  assert.deepEqual(peer.ends, []);
  peer.isReady = true;
  peer.session.goOn();
  assert.equal(peer.said(), `1000 Success\n${PROMPT}`.repeat(2));
  assert.deepEqual(peer.ends, ['input']);
});

test('prompts may go elsewhere, and where there is nothing to log out of, logout does nothing', () => {
  const peer = open({ hasOwnPrompt: true, canLogOut: false });
  peer.session.take(bytes('ok\nlogout\nok\n'));
  assert.equal(peer.said(), '1000 Success\n1000 Success\n');
  assert.deepEqual(peer.prompts, [PROMPT, PROMPT, PROMPT]);
  peer.session.take(bytes('shutdown\n'));
  assert.equal(peer.said(), '');
  assert.equal(peer.shutdowns, 1);
});

test('what happens is told to those who asked for it, until they are gone', () => {
  const peer = open();
  peer.session.tell('port/+', '01');
  peer.session.take(bytes('debug/add\n'));
  peer.session.tell('port/+', '02');
  peer.session.tell('port/-', '02');
  assert.equal(peer.said(), `1000 Success\n${PROMPT}3021 port/+ 02\n`);
  peer.session.close();
  peer.session.tell('port/+', '03');
  assert.equal(peer.said(), '');
});
