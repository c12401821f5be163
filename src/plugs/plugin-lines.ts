/**
 * What a program prints, in lines for people: the beginning of each, and not too many of them. Whatever it prints, no more
 * is kept than one line.
 */

/** The longest line of a plugin that is passed on, in characters. */
const MAX_PLUGIN_LINE = 512;
/** How many lines are passed on in a period. */
const MAX_PLUGIN_LINES = 20;
/** The period, in milliseconds. */
const PLUGIN_LINES_MS = 1000;

/** Lines that begin with a mark, and are no text for people. */
interface MarkedLines {
  readonly mark: string;
  /** Gets what stands behind the mark; there is no limit to their number. */
  take(rest: string): void;
}

export class PluginLines {
  readonly #say: (line: string) => void;
  readonly #marked: MarkedLines;
  readonly #now: () => number;
  #line = '';
  #said = 0;
  #unsaid = 0;
  #since = Number.NEGATIVE_INFINITY;

  /** @param now the time, in milliseconds */
  constructor(say: (line: string) => void, marked: MarkedLines, now: () => number = () => performance.now()) {
    this.#say = say;
    this.#marked = marked;
    this.#now = now;
  }

  /** Takes what was printed next. */
  push(text: string): void {
    for (let at = 0; at < text.length; ) {
      const end = text.indexOf('\n', at);
      const upTo = end === -1 ? text.length : end;
      this.#line += text.slice(at, Math.min(upTo, at + MAX_PLUGIN_LINE - this.#line.length));
      if (end !== -1) this.#endLine();
      at = upTo + 1;
    }
  }

  /** Nothing more is printed. */
  end(): void {
    if (this.#line !== '') this.#endLine();
    this.#sayWhatIsMissing();
  }

  #endLine(): void {
    const line = this.#line;
    this.#line = '';
    const { mark, take } = this.#marked;
    if (line.startsWith(mark)) take(line.slice(mark.length));
    else if (this.#mayPass()) this.#say(line);
    else this.#unsaid++;
  }

  #mayPass(): boolean {
    if (this.#now() - this.#since >= PLUGIN_LINES_MS) {
      this.#sayWhatIsMissing();
      this.#since = this.#now();
      this.#said = 0;
    }
    return this.#said++ < MAX_PLUGIN_LINES;
  }

  #sayWhatIsMissing(): void {
    if (this.#unsaid > 0) this.#say(`(${this.#unsaid} more lines are not shown)`);
    this.#unsaid = 0;
  }
}
