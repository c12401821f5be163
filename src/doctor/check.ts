/**
 * What a check says, and the commands that checks propose.
 */
import type { Facts } from './facts.ts';

/** How a thing stands: fine, in the way of everything, or in the way of something. */
export type CheckState = 'ok' | 'problem' | 'warning';

/** The result of one check. */
export interface Check {
  /** What was looked at, in a word or two. */
  readonly name: string;
  readonly state: CheckState;
  /** How it stands, and why that matters; one sentence without a full stop. */
  readonly detail: string;
  /** A command that makes it right, ready to be pasted. */
  readonly remedy?: string;
}

/** A command as root: with sudo, unless this is root. */
export function asRoot(facts: Facts, command: string): string {
  return facts.uid === 0 ? command : `sudo ${command}`;
}

/** A command that sets a sysctl, now and at every start of the machine. */
export function settingSysctl(facts: Facts, key: string, value: string): string {
  const file = `/etc/sysctl.d/99-vdens-${key.split('.').at(-1)}.conf`;
  return `echo '${key}=${value}' | ${asRoot(facts, `tee ${file}`)} && ${asRoot(facts, `sysctl -p ${file}`)}`;
}

/** Where a command has to be run, when that is not here. */
export function onHost(facts: Facts): string {
  return facts.container === undefined ? '' : ' (this looks like a container: do it on its host)';
}

/** A word as the shell takes it literally. */
export function quoted(word: string): string {
  return /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
