/**
 * What a management console says, as the lines and prompts that it is made of.
 *
 * ```
 * 0000 DATA END WITH '.'      data begin
 * ...
 * .                           data end
 * 1000 Success                how the command ended: 1, and errno in three digits
 *
 * vde$                        the prompt, without an end of line; each program has its own
 * 3021 port/+ 07              at any time between answers: what was asked for by debug/add
 * ```
 */
import { StringDecoder } from 'node:string_decoder';
import { VdensError } from '../errors.ts';

/** A line, or a prompt. */
export type ConsoleEvent =
  | { readonly kind: 'line'; readonly text: string; readonly line: LineKind }
  | { readonly kind: 'status'; readonly text: string; readonly code: number }
  | { readonly kind: 'prompt' };

/** `data` is of an answer, `frame` is around it, `notice` came by itself, `text` is everything else. */
export type LineKind = 'data' | 'frame' | 'notice' | 'text';

/** Characters of a line; no line of a console is near it. */
const MAX_LINE_LENGTH = 65_536;
/** Success. */
export const STATUS_SUCCESS = 1000;
/** After `logout` and `shutdown`; nothing follows, not even an end of line. */
export const STATUS_END = 9999;

const DATA_BEGIN = /^0000 /;
const DATA_END = '.';
/** Of wirefilter's `logout`, it is `1-01`. */
const STATUS = /^(1\d{3}|1-\d+|9999) /;
const NOTICE = /^3\d{3} /;
/** How prompts of all consoles end. */
const PROMPT = /^\S{1,64}\$ $/;

/** Cuts what arrives into events. */
export class ConsoleReader {
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  #prompt = '';
  #isInData = false;

  /** The prompt, once it was seen: `vde$ `. */
  get prompt(): string {
    return this.#prompt;
  }

  /**
   * Takes what was read, in pieces of any length.
   *
   * @throws {VdensError} `ERR_SWITCH` when there is no end of a line
   */
  read(bytes: Buffer): readonly ConsoleEvent[] {
    const lines = (this.#rest + this.#decoder.write(bytes)).split('\n');
    const rest = lines.pop() ?? '';
    const events = lines.flatMap((line) => this.#readLine(line));
    this.#rest = rest;
    if (this.#isInData) return this.#checked(events);
    if (this.#prompt === '' && PROMPT.test(rest)) this.#prompt = rest;
    const prompts = this.#takePrompts(rest);
    this.#rest = prompts.rest;
    return this.#checked([...events, ...prompts.events]);
  }

  /** What was left when the other side ended. */
  end(): readonly ConsoleEvent[] {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = '';
    return rest === '' ? [] : this.#readLine(rest);
  }

  #checked(events: readonly ConsoleEvent[]): readonly ConsoleEvent[] {
    if (this.#rest.length <= MAX_LINE_LENGTH) return events;
    throw new VdensError(
      'ERR_SWITCH',
      `it sent ${this.#rest.length} characters without the end of a line: that is no console`,
    );
  }

  #readLine(whole: string): readonly ConsoleEvent[] {
    if (this.#isInData) {
      if (whole !== DATA_END) return [{ kind: 'line', line: 'data', text: whole }];
      this.#isInData = false;
      return [{ kind: 'line', line: 'frame', text: whole }];
    }
    // A notice follows a prompt on its line.
    const { events, rest: text } = this.#takePrompts(whole);
    const status = STATUS.exec(text)?.[1];
    // Of wirefilter's "1-01", nothing but that it is not a success.
    if (status !== undefined) return [...events, { kind: 'status', code: Number.parseInt(status, 10), text }];
    if (text === '') return events;
    this.#isInData = DATA_BEGIN.test(text);
    if (this.#isInData) return [...events, { kind: 'line', line: 'frame', text }];
    return [...events, { kind: 'line', line: NOTICE.test(text) ? 'notice' : 'text', text }];
  }

  #takePrompts(text: string): { readonly events: readonly ConsoleEvent[]; readonly rest: string } {
    const events: ConsoleEvent[] = [];
    let rest = text;
    while (this.#prompt !== '' && rest.startsWith(this.#prompt)) {
      events.push({ kind: 'prompt' });
      rest = rest.slice(this.#prompt.length);
    }
    return { events, rest };
  }
}
