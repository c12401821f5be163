/**
 * A management console on a terminal: a line that is edited, with history and completion, and above it whatever the
 * console says.
 */
import { clearScreenDown, createInterface, cursorTo, type Interface, moveCursor } from 'node:readline';
import { wasIgnored } from '../system/ignored-signals.ts';
import { type ConsoleHelp, completeCommand, readHelp } from './console-help.ts';
import { ConsoleHistory, MAX_HISTORY_LINES } from './console-history.ts';
import type { ConsoleEvent } from './console-reader.ts';
import { ANSWER_SILENCE_MS, type ConsoleSession } from './console-session.ts';
import { printable, printableText } from './standard-streams.ts';
import { TabbedInput } from './tabbed-input.ts';

/** How it was left. */
export type ConsoleEnding = 'interrupt' | 'hangup' | 'user' | 'console';

/** Lines typed ahead of answers. */
const MAX_TYPED_AHEAD = 100;
/** Characters of the answer to `help` that are looked at. */
const MAX_HELP_LENGTH = 262_144;

/**
 * Lets a user speak with a console until one of them has enough. The terminal is left as it was.
 *
 * @param word - the console, as the user calls it
 * @param greeting - what it said until now
 */
export async function speakOnTerminal(
  session: ConsoleSession,
  word: string,
  greeting: readonly ConsoleEvent[],
): Promise<ConsoleEnding> {
  const help = await fetchHelp(session);
  process.stdout.write(
    greeting
      .flatMap(shownText)
      .map((line) => `${line}\n`)
      .join(''),
  );
  return new ConsoleTerminal(session, word, help).run();
}

/** Asks for the list of commands; nobody sees the answer. */
async function fetchHelp(session: ConsoleSession): Promise<ConsoleHelp> {
  const answer: ConsoleEvent[] = [];
  let length = 0;
  session.listen((events) => {
    for (const event of events) {
      length += event.kind === 'prompt' ? 0 : event.text.length;
      if (length <= MAX_HELP_LENGTH) answer.push(event);
    }
  });
  await session.ask('help', ANSWER_SILENCE_MS);
  return readHelp(answer);
}

class ConsoleTerminal {
  readonly #session: ConsoleSession;
  readonly #prompt: string;
  readonly #history = new ConsoleHistory();
  readonly #input = new TabbedInput(process.stdin);
  readonly #editor: Interface;
  readonly #typed: string[] = [];
  #help: ConsoleHelp;
  #isBusy = false;
  #ending: ConsoleEnding | undefined;

  constructor(session: ConsoleSession, word: string, help: ConsoleHelp) {
    this.#session = session;
    this.#help = help;
    this.#prompt = `vde[${printable(word)}]: `;
    this.#editor = createInterface({
      input: this.#input,
      output: process.stdout,
      terminal: true,
      prompt: this.#prompt,
      history: this.#history.newestFirst,
      historySize: MAX_HISTORY_LINES,
      completer: (line: string) => completeCommand(this.#help, line),
    });
  }

  async run(): Promise<ConsoleEnding> {
    const closed = new Promise<void>((resolve) => this.#editor.once('close', resolve));
    this.#editor.on('SIGINT', () => this.#end('interrupt'));
    if (!wasIgnored('SIGHUP')) process.once('SIGHUP', () => this.#hangUp());
    this.#editor.on('line', (line) => this.#type(line));
    this.#session.listen((events) => this.#show(events.flatMap(shownText)));
    const failure = this.#session.ended.then(
      () => this.#end('console'),
      (error: Error) => {
        this.#end('console');
        return error;
      },
    );
    this.#editor.prompt();
    await closed;
    this.#input.destroy();
    // What was on the line stays, and what comes next is below it.
    if (this.#ending !== 'console') process.stdout.write('\n');
    if (this.#ending !== 'console') return this.#ending ?? 'user';
    const error = await failure;
    if (error !== undefined) throw error;
    return 'console';
  }

  #end(ending: ConsoleEnding): void {
    if (this.#ending !== undefined) return;
    this.#ending = ending;
    if (ending === 'console') this.#clear();
    this.#editor.close();
  }

  /** The terminal may be gone, or not: then it is to be as it was. */
  #hangUp(): void {
    for (const stream of [process.stdin, process.stdout]) stream.on('error', () => undefined);
    this.#end('hangup');
  }

  #type(line: string): void {
    if (this.#typed.length < MAX_TYPED_AHEAD) this.#typed.push(line.trim());
    else this.#show(['(too many lines wait for an answer: this one is dropped)']);
    if (!this.#isBusy) void this.#sendTyped();
  }

  async #sendTyped(): Promise<void> {
    this.#isBusy = true;
    // Without a prompt while there is an answer: what is typed ahead is shown below it.
    this.#editor.setPrompt('');
    for (let line = this.#typed.shift(); line !== undefined && this.#ending === undefined; line = this.#typed.shift()) {
      if (line !== '') await this.#send(line);
    }
    this.#isBusy = false;
    if (this.#ending !== undefined) return;
    this.#editor.setPrompt(this.#prompt);
    this.#editor.prompt(true);
  }

  async #send(line: string): Promise<void> {
    this.#history.add(line);
    const patience = setTimeout(
      () => this.#show([`(no answer for ${ANSWER_SILENCE_MS / 1000} s; ^C ends)`]),
      ANSWER_SILENCE_MS,
    );
    try {
      const goesOn = await this.#session.ask(line);
      if (goesOn && line.startsWith('plugin/')) await this.#learnAgain();
    } catch (error) {
      // Too long, for example; that the session has failed is told at its end.
      this.#show([`(${(error as Error).message})`]);
    } finally {
      clearTimeout(patience);
    }
  }

  /** A plugin brings commands of its own. */
  async #learnAgain(): Promise<void> {
    this.#help = await fetchHelp(this.#session);
    this.#session.listen((events) => this.#show(events.flatMap(shownText)));
  }

  /** Writes lines above the one that is edited. */
  #show(lines: readonly string[]): void {
    if (lines.length === 0 || this.#ending !== undefined) return;
    const { rows } = this.#editor.getCursorPos();
    this.#clear();
    // The editor goes up as many rows as the cursor was below its prompt, and draws from there.
    process.stdout.write(`${lines.map((line) => `${line}\n`).join('')}${'\n'.repeat(rows)}`);
    this.#editor.prompt(true);
  }

  /** Removes the line that is edited from the screen. */
  #clear(): void {
    const { rows } = this.#editor.getCursorPos();
    moveCursor(process.stdout, 0, -rows);
    cursorTo(process.stdout, 0);
    clearScreenDown(process.stdout);
  }
}

/** What a client says of itself is in there too: nothing in it is to reach the terminal as more than text. */
function shownText(event: ConsoleEvent): readonly string[] {
  return event.kind === 'prompt' ? [] : [printableText(event.text)];
}
