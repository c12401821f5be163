/** Who has the terminal that we were started from. */
import { readFileSync } from 'node:fs';

/** Whether somebody else has it: we were put into the background. */
export function isInBackground(): boolean {
  const { group, foreground } = processGroups();
  return foreground > 0 && group !== foreground;
}

/** Whether its keys reach our process group. */
export function isInForeground(): boolean {
  const { group, foreground } = processGroups();
  return foreground > 0 && group === foreground;
}

/** Ours, and the one that has the terminal: -1 without a terminal. */
function processGroups(): { readonly group: number; readonly foreground: number } {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  // After the name, in parentheses: state, parent, process group, session, terminal, the terminal's process group.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { group: Number(fields[2]), foreground: Number(fields[5]) };
}
