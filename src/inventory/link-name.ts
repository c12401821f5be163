/** What a link may be called by who names it. */
import { existsSync } from 'node:fs';

/** The word for a process, and which of its links is meant, when that was said. */
export interface Place {
  /** A name, a pid, a path. */
  readonly name: string;
  readonly link: string | undefined;
}

/** `web`, `web:vde0`, `/tmp/lan:port 3`; a path that is there may have a colon of its own. */
export function splitPlace(word: string): Place {
  const isWhole = word.includes('/') && existsSync(word);
  const [, name = word, link] = (isWhole ? undefined : /^(.+):([^:/]+)$/s.exec(word)) ?? [];
  return { name, link };
}

/** Whether a link is meant: `port 3` may be called `port3` or `3`, too. */
export function isCalled(id: string, wanted: unknown): boolean {
  return id === wanted || id.replace(' ', '') === wanted || id.replace(/^port /, '') === wanted;
}
