/**
 * What a session may ask to be told of while it goes on: lines that begin with 3 and the tag of their category.
 *
 * ```
 * 3021 port/+ 07
 * ```
 */
import { commandError } from './command.ts';

/** One kind of line. */
export interface DebugCategory {
  /** `port/ep/+`: who selects `port` gets it, too. */
  readonly path: string;
  /** Three digits. */
  readonly tag: string;
  /** A few words. */
  readonly help: string;
  /** How the line is written, where it is not as above. */
  format?(text: string): string;
}

/** What one session wants to be told. */
export class DebugSelection {
  readonly #categories: readonly DebugCategory[];
  readonly #selected = new Set<DebugCategory>();

  readonly #changed: () => void;

  /**
   * @param categories all that there are
   * @param changed called after each change of what is wanted
   */
  constructor(categories: readonly DebugCategory[], changed: () => void = () => undefined) {
    this.#categories = categories;
    this.#changed = changed;
  }

  /** Whether any category is wanted whose path begins with the prefix. */
  wants(prefix: string): boolean {
    return [...this.#selected].some(({ path }) => path.startsWith(prefix));
  }

  /**
   * Adds all whose path begins with the prefix.
   *
   * @throws VdensError with errno `EINVAL` when there is none, `EEXIST` when all were selected before
   */
  add(prefix: string): void {
    const meant = this.#meant(prefix);
    const added = meant.filter((category) => !this.#selected.has(category));
    if (added.length === 0) throw commandError('EEXIST', 'all of these are selected already', prefix);
    for (const category of added) this.#selected.add(category);
    this.#changed();
  }

  /**
   * Removes all whose path begins with the prefix.
   *
   * @throws VdensError with errno `EINVAL` when there is none, `ENOENT` when none was selected
   */
  remove(prefix: string): void {
    const removed = this.#meant(prefix).filter((category) => this.#selected.delete(category));
    if (removed.length === 0) throw commandError('ENOENT', 'none of these is selected', prefix);
    this.#changed();
  }

  /** The lines of `debug/list`: those whose path begins with the prefix. */
  list(prefix: string): readonly string[] {
    return this.#categories
      .filter(({ path }) => path.startsWith(prefix))
      .map((category) => {
        const { path, tag, help } = category;
        return `${path.padEnd(22)} ${tag} ${this.#selected.has(category) ? 'ON ' : 'OFF'}    ${help}`;
      });
  }

  /** The line that says what happened, if the session wants to know. */
  lineFor(path: string, text: string): string | undefined {
    const category = this.#categories.find((each) => each.path === path);
    if (category === undefined || !this.#selected.has(category)) return undefined;
    return category.format?.(text) ?? `3${category.tag} ${path} ${text}`;
  }

  #meant(prefix: string): readonly DebugCategory[] {
    const meant = this.#categories.filter(({ path }) => path.startsWith(prefix));
    if (meant.length === 0) throw commandError('EINVAL', 'there is no such category', prefix);
    return meant;
  }
}
