/**
 * The way into namespaces that are there already: a process in them, and what commands may do there.
 *
 * Everything is read from proc(5), so that nobody has to answer: `vdens no` leaves nothing behind that could.
 */
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { VdensError } from '../errors.ts';
import { commandCapabilities } from './capabilities.ts';

/** A way into namespaces. */
export interface Entrance {
  /** A process that is in them. */
  readonly pid: number;
  /** The ambient capabilities of commands there, as a bit mask. */
  readonly capabilities: bigint;
}

/** The helper that makes namespaces (native/launch), by its file name; one that was replaced since is `deleted`. */
const HELPER = /^launch( \(deleted\))?$/;
/** How far up or down we look for that helper. */
const MAX_ANCESTORS = 64;
const MAX_CHILDREN = 256;

/**
 * The way into the namespaces that a process is in or, for a `vdens` that stays outside, into those that it has made.
 * Its commands' capabilities are those that the helper was told, or else the process's own.
 *
 * @throws VdensError `ERR_NAMESPACE` when there is no such process, it is another user's, or in no namespace but ours
 */
export function entranceBy(pid: number): Entrance {
  const own = userNamespaceOf('self');
  const theirs = userNamespaceOf(pid) ?? failToRead(pid);
  if (theirs !== own) return { pid, capabilities: capabilitiesAround(pid) };
  const helpers = childrenOf(pid).filter((child) => isHelper(child) && isElsewhere(child, own));
  const inside = helpers.find((helper) => toldCapabilities(helper) !== undefined) ?? helpers[0];
  if (inside !== undefined) return { pid: inside, capabilities: capabilitiesAround(inside) };
  const remedy = 'See what runs with: vde ls';
  throw new VdensError('ERR_NAMESPACE', `process ${pid} is in no namespace of its own. ${remedy}`, { value: `${pid}` });
}

/** The identity of the user namespace of a process, such as `user:[4026531837]`; `undefined` when it cannot be read. */
function userNamespaceOf(pid: number | 'self'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`);
  } catch {
    return undefined;
  }
}

function failToRead(pid: number): never {
  let owner: number | undefined;
  try {
    owner = statSync(`/proc/${pid}`).uid;
  } catch {
    throw new VdensError('ERR_NAMESPACE', `there is no process ${pid}. See what runs with: vde ls`, {
      value: `${pid}`,
    });
  }
  const message = `process ${pid} may not be looked into: it belongs to uid ${owner}, or may do more than you`;
  throw new VdensError('ERR_NAMESPACE', `${message}. Only who made a namespace can enter it`, { value: `${pid}` });
}

function isElsewhere(pid: number, own: string | undefined): boolean {
  const theirs = userNamespaceOf(pid);
  return theirs !== undefined && theirs !== own;
}

/** What the nearest helper above was told, else what the process itself has to pass on; a holder alone was told nothing. */
function capabilitiesAround(pid: number): bigint {
  for (let at = pid, steps = 0; at > 1 && steps < MAX_ANCESTORS; at = parentOf(at), steps++) {
    const told = toldCapabilities(at);
    if (told !== undefined) return told;
  }
  return isHelper(pid) ? commandCapabilities(false) : BigInt(`0x${statusField(pid, 'CapAmb') ?? '0'}`);
}

/** `launch … -c MASK … -- command`. */
function toldCapabilities(pid: number): bigint | undefined {
  if (!isHelper(pid)) return undefined;
  const words = read(pid, 'cmdline').split('\0');
  const options = words.slice(0, words.indexOf('--'));
  const mask = options[options.lastIndexOf('-c') + 1] ?? '';
  return options.includes('-c') && /^[0-9a-f]{1,16}$/.test(mask) ? BigInt(`0x${mask}`) : undefined;
}

function isHelper(pid: number): boolean {
  try {
    return HELPER.test(basename(readlinkSync(`/proc/${pid}/exe`)));
  } catch {
    return false;
  }
}

function parentOf(pid: number): number {
  return Number(statusField(pid, 'PPid') ?? 0);
}

function childrenOf(pid: number): readonly number[] {
  return read(pid, `task/${pid}/children`).split(' ').filter(Boolean).slice(0, MAX_CHILDREN).map(Number);
}

function statusField(pid: number, name: string): string | undefined {
  return new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(read(pid, 'status'))?.[1];
}

/** A file of the process; empty when it is gone. */
function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return '';
  }
}
