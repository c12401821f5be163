/**
 * What a command is called, which options it takes and what it does, as data.
 *
 * One table per command feeds the parsing of options, `--help` and the manual page, so that they cannot
 * disagree. The prose is in a table of its own ({@link Manual}): only the manual page needs it, and a
 * command that starts should not load it.
 */

/** One option. */
export interface OptionSpec {
  /** Its long name, without the hyphens. */
  readonly long: string;
  /** Its one-letter name, without the hyphen. */
  readonly short?: string;
  /** What its value is called; an option without it is a flag. */
  readonly argument?: string;
  /** Whether every mention counts. Otherwise the last one does. */
  readonly repeatable?: boolean;
  /** A few words for `--help`; no full stop. */
  readonly help: string;
}

/** A command, or a subcommand. */
export interface CommandTable {
  /** What is typed: `vdens`, `vde doctor`. */
  readonly name: string;
  /** What it does, in less than a line; no full stop. */
  readonly summary: string;
  /** The ways to call it, without its name. */
  readonly synopsis: readonly string[];
  readonly options: readonly OptionSpec[];
  /** One line each, in `--help`, below the options. */
  readonly notes?: readonly string[];
  readonly subcommands?: readonly CommandTable[];
}

/** A word or a phrase and its explanation; paragraphs are separate strings. */
export interface Explanation {
  readonly term: string;
  readonly text: readonly string[];
}

/** A command line and what it is for. */
export interface Example {
  readonly text: string;
  readonly command: string;
}

/** A part of a manual page with its own heading. */
export interface ManualSection {
  readonly title: string;
  readonly text: readonly string[];
  readonly items?: readonly Explanation[];
}

/**
 * The prose of a manual page. In all of it, what is between backquotes is set in type that says what it
 * is: `--flag`, `NAME` (a placeholder, in capitals), `$VARIABLE`, `/a/path`, `page(1)`, or literal text.
 */
export interface Manual {
  /** When the prose was last changed: `November 21, 2026`. */
  readonly date: string;
  readonly description: readonly string[];
  /** Sections that follow the description. */
  readonly sections?: readonly ManualSection[];
  /** What each option does, by its long name (`doctor --json` for one of a subcommand). */
  readonly options: Readonly<Record<string, readonly string[]>>;
  readonly environment: readonly Explanation[];
  readonly exitStatus: readonly Explanation[];
  readonly examples: readonly Example[];
  /** Sections that follow the examples. */
  readonly closing?: readonly ManualSection[];
  /** Names of pages: `vde_plug(1)`. */
  readonly seeAlso: readonly string[];
}
