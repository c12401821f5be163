/** What a link may be called by who names it. */

/** Whether a link is meant: `port 3` may be called `port3` or `3`, too. */
export function isCalled(id: string, wanted: unknown): boolean {
  return id === wanted || id.replace(' ', '') === wanted || id.replace(/^port /, '') === wanted;
}
