/**
 * One who manages: what is read becomes commands, and their answers and what was asked to be told of is written.
 *
 * Each answer is followed by the prompt, which ends without a newline: by it clients know that all has been said.
 */

import { type DebugCategory, DebugSelection } from './debug.ts';
import type { Interpreter } from './interpreter.ts';
import { LineBuffer, type TOO_LONG } from './line-buffer.ts';
import { END_OF_SESSION } from './status.ts';

/** How long is waited for the rest of a line before what has come is a command, in milliseconds. */
export const REST_OF_LINE_MS = 100;

/** What is managed, and how it presents itself. */
export interface ConsoleService {
  /** In the prompt: `vde` for `vde$ `. */
  readonly name: string;
  /** The lines that a client of the socket gets first. */
  readonly banner: readonly string[];
  readonly interpreter: Interpreter;
  readonly categories: readonly DebugCategory[];
  /** A session wants to be told of other things than before, or has ended. */
  selectionChanged?(): void;
  /** Somebody wants all of it to end. */
  shutdown(): void;
}

/** The other side of a session. None of these may throw. */
export interface SessionPeer {
  write(text: string): void;
  /** Writes the prompt, when it goes elsewhere than the answers. */
  prompt?(text: string): void;
  /** Whether more can be written now; otherwise no command is run until {@link Session.goOn}. */
  isReady(): boolean;
  /** All has been said, and why: nothing more will be read, or a command wants it so. */
  end(why: 'input' | 'command'): void;
  /** Whether `logout` ends the session. @defaultValue true */
  readonly canLogOut?: boolean;
}

export class Session {
  readonly #service: ConsoleService;
  readonly #peer: SessionPeer;
  readonly #selection: DebugSelection;
  readonly #input = new LineBuffer();
  readonly #lines: (string | typeof TOO_LONG)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isInputOver = false;
  #isAnswering = false;
  #unsaid = '';
  #isOver = false;

  constructor(service: ConsoleService, peer: SessionPeer) {
    this.#service = service;
    this.#peer = peer;
    this.#selection = new DebugSelection(service.categories, () => service.selectionChanged?.());
  }

  /** What a client gets before it has said anything. */
  greet(): void {
    this.#say(`${this.#service.banner.join('\n')}\n`);
    this.#prompt();
  }

  /** Takes what was read. */
  take(bytes: Uint8Array): void {
    if (this.#isInputOver || this.#isOver) return;
    clearTimeout(this.#timer);
    this.#lines.push(...this.#input.add(bytes));
    if (this.#input.hasRest) this.#timer = setTimeout(() => this.#takeRest(), REST_OF_LINE_MS);
    this.goOn();
  }

  /** Nothing more will be read. */
  takeEnd(): void {
    if (this.#isInputOver) return;
    this.#isInputOver = true;
    clearTimeout(this.#timer);
    if (this.#input.hasRest) this.#lines.push(this.#input.takeRest());
    this.goOn();
  }

  /** Runs the commands that wait, as long as their answers can be written. */
  goOn(): void {
    while (!this.#isOver && this.#peer.isReady()) {
      const line = this.#lines.shift();
      if (line === undefined) break;
      this.#answer(line);
    }
    if (this.#isInputOver && this.#lines.length === 0 && !this.#isOver) this.#end('input');
  }

  /** Whether commands wait, so that no more should be read. */
  get isBehind(): boolean {
    return this.#lines.length > 0;
  }

  /** Whether it wants to be told of anything whose path begins with the prefix. */
  wants(prefix: string): boolean {
    return !this.#isOver && this.#selection.wants(prefix);
  }

  /** Tells that something happened, if this session wants to know. Returns how many characters were written. */
  tell(path: string, text: string): number {
    if (this.#isOver) return 0;
    const line = this.#selection.lineFor(path, text);
    if (line === undefined) return 0;
    this.#say(`${line}\n`);
    if (!this.#isAnswering) this.#flush();
    return line.length + 1;
  }

  /** The peer is gone. Idempotent. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#lines.length = 0;
    clearTimeout(this.#timer);
    if (this.#selection.wants('')) this.#service.selectionChanged?.();
  }

  #takeRest(): void {
    this.#lines.push(this.#input.takeRest());
    this.goOn();
  }

  #answer(line: string | typeof TOO_LONG): void {
    const { interpreter } = this.#service;
    this.#isAnswering = true;
    const after = interpreter.answer(line, { selection: this.#selection, write: (text) => this.#say(text) });
    this.#isAnswering = false;
    if (after === undefined || (after === 'logout' && this.#peer.canLogOut === false)) {
      this.#prompt();
      return;
    }
    if (this.#peer.canLogOut !== false) this.#say(END_OF_SESSION);
    this.#flush();
    this.#end('command');
    if (after === 'shutdown') this.#service.shutdown();
  }

  #prompt(): void {
    const text = `\n${this.#service.name}$ `;
    if (this.#peer.prompt === undefined) this.#say(text);
    this.#flush();
    this.#peer.prompt?.(text);
  }

  /** An answer leaves in one piece, with its prompt: there are clients that look at what one read gave them. */
  #say(text: string): void {
    this.#unsaid += text;
  }

  #flush(): void {
    const text = this.#unsaid;
    this.#unsaid = '';
    if (text !== '') this.#peer.write(text);
  }

  #end(why: 'input' | 'command'): void {
    this.close();
    this.#peer.end(why);
  }
}
