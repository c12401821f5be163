/** `vde console`: speaks with the management console of a switch: on a terminal, for a script, or one command. */
import { StringDecoder } from 'node:string_decoder';
import { VdensError } from '../errors.ts';
import { endBySignal } from '../system/end-by-signal.ts';
import { type ConsoleEvent, STATUS_END, STATUS_SUCCESS } from './console-reader.ts';
import { ANSWER_SILENCE_MS, ConsoleSession } from './console-session.ts';
import { printableText, writeErrorLine, writeOutput } from './standard-streams.ts';

/** A status that is not a success. */
const STATUS_REFUSED = 1;
/** What one command may answer. */
const MAX_ANSWER_BYTES = 16_777_216;
/** A line of a script; far above what a console takes. */
const MAX_SCRIPT_LINE_LENGTH = 65_536;

/** What to speak with, and whether to say but one thing. */
export interface ConsoleRequest {
  readonly socket: string;
  /** One command; undefined: what is typed, or read. */
  readonly command: string | undefined;
}

/**
 * Runs `vde console`.
 *
 * @returns the exit status
 * @throws {VdensError} when there is no console, or it does not answer
 */
export async function openConsole({ socket, command }: ConsoleRequest): Promise<number> {
  if (command !== undefined) return runCommand(socket, command);
  if (process.stdin.isTTY && process.stdout.isTTY) return onTerminal(socket);
  return relay(socket);
}

async function onTerminal(path: string): Promise<number> {
  const { speakOnTerminal } = await import('./console-terminal.ts');
  const greeting: ConsoleEvent[] = [];
  const session = await ConsoleSession.open(path, (events) => void greeting.push(...events));
  try {
    const ending = await speakOnTerminal(session, path, greeting);
    // In raw mode, ^C is a key.
    if (ending === 'interrupt') return await endBySignal('SIGINT');
    return ending === 'hangup' ? await endBySignal('SIGHUP') : 0;
  } finally {
    session.close();
  }
}

/**
 * Standard input to the console, line by line, and all that it says to standard output. Each line waits for its turn:
 * a console takes lines that arrive together for one.
 */
async function relay(path: string): Promise<number> {
  const shown = filterForOutput();
  const session = await ConsoleSession.open(path, (_events, bytes) => writeOutput(shown(bytes)));
  try {
    await Promise.race([session.ended, sendLines(session)]);
    return 0;
  } finally {
    session.close();
  }
}

/** What clients say of themselves is in there, too, which must not reach a terminal as more than text; others get the bytes. */
function filterForOutput(): (bytes: Buffer) => string | Buffer {
  if (!process.stdout.isTTY) return (bytes) => bytes;
  const decoder = new StringDecoder('utf8');
  return (bytes) => printableText(decoder.write(bytes));
}

async function sendLines(session: ConsoleSession): Promise<void> {
  let rest = '';
  process.stdin.setEncoding('utf8');
  for await (const text of process.stdin as AsyncIterable<string>) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_SCRIPT_LINE_LENGTH) {
      const message = `standard input has a line of more than ${MAX_SCRIPT_LINE_LENGTH} characters, which is no command`;
      throw new VdensError('ERR_USAGE', message, { value: rest.slice(0, MAX_SCRIPT_LINE_LENGTH) });
    }
    for (const line of lines) if (!(await session.ask(line, ANSWER_SILENCE_MS))) return;
  }
  if (rest !== '') await session.ask(rest, ANSWER_SILENCE_MS);
}

/** Its data to standard output; what it says against the command to standard error. */
async function runCommand(path: string, command: string): Promise<number> {
  const answer = new Answer(path, command);
  const session = await ConsoleSession.open(path, () => undefined);
  session.listen(async (events, bytes) => {
    const text = answer.take(events, bytes.length);
    if (text !== '') await writeOutput(process.stdout.isTTY ? printableText(text) : text);
  });
  try {
    const goesOn = await session.ask(command, ANSWER_SILENCE_MS);
    const problem = answer.problem(goesOn);
    if (problem === undefined) return 0;
    writeErrorLine(`vde: ${command}: ${problem}`);
    return STATUS_REFUSED;
  } finally {
    session.close();
  }
}

/** What a console answers to one command. */
class Answer {
  readonly #path: string;
  readonly #command: string;
  #status: { readonly code: number; readonly text: string } | undefined;
  #bytes = 0;

  constructor(path: string, command: string) {
    this.#path = path;
    this.#command = command;
  }

  /**
   * Takes a part of it.
   *
   * @param bytes - its length
   * @returns what is for the user
   * @throws {VdensError} `ERR_SWITCH` when there is no end of it
   */
  take(events: readonly ConsoleEvent[], bytes: number): string {
    this.#bytes += bytes;
    if (this.#bytes > MAX_ANSWER_BYTES) {
      const message = `console ${this.#path}: the answer to "${this.#command}" is longer than ${MAX_ANSWER_BYTES} bytes, the rest is left`;
      throw new VdensError('ERR_SWITCH', message, { value: this.#path });
    }
    return events.map((event) => this.#shown(event)).join('');
  }

  /** What the console has against the command, if anything. */
  problem(goesOn: boolean): string | undefined {
    if (!goesOn && /^\s*(logout|shutdown)\b/.test(this.#command)) return undefined;
    const { code, text } = this.#status ?? { code: STATUS_SUCCESS, text: '' };
    if (code !== STATUS_SUCCESS && code !== STATUS_END) return text;
    return goesOn || this.#status !== undefined ? undefined : 'the console went away before it answered';
  }

  #shown(event: ConsoleEvent): string {
    if (event.kind === 'prompt') return '';
    if (event.kind === 'line' && event.line !== 'data' && event.line !== 'text') return '';
    // The last status is for the command; those before are for commands in a file that it loads.
    const earlier = this.#status === undefined ? '' : `${this.#status.text}\n`;
    this.#status = event.kind === 'status' ? event : undefined;
    return event.kind === 'status' ? earlier : `${earlier}${event.text}\n`;
  }
}
