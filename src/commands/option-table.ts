/**
 * What a command is called, which options it takes and what it does, as data.
 *
 * One table per command feeds the parsing of options, `--help`, the manual page and the completion of shells, so
 * that they cannot disagree. The prose is in a table of its own ({@link Manual}): only the manual page needs it, and a
 * command that starts should not load it.
 */

/** What a value or an operand is, for those who complete it. Without one, nothing is offered. */
export type ValueKind =
  /** Any file; a socket where a switch is managed; a directory. */
  | 'file'
  | 'socket'
  | 'directory'
  /** By name. */
  | 'user'
  | 'group'
  /** An interface of this machine. */
  | 'interface'
  | 'pid'
  /** What runs of ours, by name: a namespace, a switch. */
  | 'running'
  /** What vdens can be plugged into. */
  | 'network'
  /** A program: it and what follows are a command line of their own. */
  | 'command'
  /** One of these words. */
  | readonly string[]
  /** Several of these words, with commas between them. */
  | { readonly list: readonly string[] };

/** One option. */
export interface OptionSpec {
  /** Its long name, without the hyphens. */
  readonly long: string;
  /** Other long names of the same option. Its values are found under {@link long}. */
  readonly aliases?: readonly string[];
  /** Its one-letter name, without the hyphen. */
  readonly short?: string;
  /** What its value is called; an option without it is a flag. */
  readonly argument?: string;
  /** What its value is. */
  readonly values?: ValueKind;
  /** Whether every mention counts. Otherwise the last one does. */
  readonly repeatable?: boolean;
  /** Whether it is understood, but neither listed nor completed. */
  readonly isHidden?: boolean;
  /** A few words for `--help`; no full stop. */
  readonly help: string;
}

/** A word that is not an option, for those who complete it. */
export interface OperandSpec {
  /** What it is called. */
  readonly name: string;
  readonly values?: ValueKind;
  /** Whether more of the same may follow; only of the last one. */
  readonly repeatable?: boolean;
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
  /** What follows the options, in order. */
  readonly operands?: readonly OperandSpec[];
  /** What follows them instead, when an option is there: by its long name. */
  readonly operandsWith?: Readonly<Record<string, readonly OperandSpec[]>>;
  /** Words after which a command line of its own begins: `=`. Options in it are left alone. */
  readonly commandAfter?: readonly string[];
  /** Whether options may stand among the operands (up to a word of {@link commandAfter}, or to `--`). */
  readonly isPermuted?: boolean;
  /** Whether long names may be written with one hyphen, as getopt_long_only(3) has it: `-sock`. */
  readonly hasSingleDash?: boolean;
  /** Exit status after a wrong command line. @defaultValue 125 */
  readonly usageStatus?: number;
  /** One line each, in `--help`, below the options. */
  readonly notes?: readonly string[];
  readonly subcommands?: readonly CommandTable[];
}

/** Exit status after a wrong command line: as env(1) has it, unless an original has another. */
export function usageStatusOf({ usageStatus = 125 }: CommandTable): number {
  return usageStatus;
}

/** Every long name of an option, the one that is shown first. */
export function longNames({ long, aliases = [] }: OptionSpec): readonly string[] {
  return [long, ...aliases];
}

/** The options that are listed and completed. */
export function shownOptions({ options }: CommandTable): readonly OptionSpec[] {
  return options.filter(({ isHidden = false }) => !isHidden);
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
  readonly files?: readonly Explanation[];
  readonly exitStatus: readonly Explanation[];
  readonly examples: readonly Example[];
  /** Sections that follow the examples. */
  readonly closing?: readonly ManualSection[];
  /** Names of pages: `vde_plug(1)`. */
  readonly seeAlso: readonly string[];
}
