/**
 * What runs: the control sockets of this user's processes, and which process a word means.
 */
import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { type ControlClient, connectControl } from '../control/client.ts';
import { namesInRuntimeDirectory, runtimeDirectory } from '../control/runtime-directory.ts';
import { listenerOf } from '../control/server.ts';
import { quote, VdensError } from '../errors.ts';
import { nearest } from '../locator/nearest.ts';
import { answers, lookAt, removeStale } from '../plugs/ptp-names.ts';
import { listenedOnBy, listenerOwner } from '../system/listener-owner.ts';
import { type Place, splitPlace } from './link-name.ts';
import { type FoundProcess, isSuspended, stopped } from './list-processes.ts';

/** How many names an error tells. */
const MAX_NAMES_TOLD = 10;
/** Where a switch listens, in its directory. */
const SWITCH_SOCKET = 'ctl';

export { type FoundProcess, type ListedProcess, type ListOptions, listProcesses } from './list-processes.ts';

/**
 * The process that a word means: the name of one that runs, its pid, the directory of a switch (whoever serves it), the
 * path of a control socket.
 *
 * @throws VdensError `ERR_CONTROL` when there is none, or it cannot be asked; the message says what runs
 */
export function findProcess(word: string): FoundProcess {
  const found = isPath(word) ? findByPath(word) : /^\d+$/.test(word) ? findByPid(Number(word)) : findByName(word);
  if (found !== undefined) return found;
  throw notFound(word);
}

/** A process, and which of its links, when that was said. */
export interface FoundPlace extends Place {
  readonly found: FoundProcess;
}

/**
 * The process that a word means, and the link that may stand behind a colon.
 *
 * @throws VdensError as {@link findProcess}
 */
export function findPlace(word: string): FoundPlace {
  const place = splitPlace(word);
  return { found: findProcess(place.name), ...place };
}

/**
 * Connects to the process that a word means.
 *
 * @throws VdensError as {@link findProcess} and {@link connectControl}; `ERR_NETWORK_TIMEOUT` at once for one that is stopped
 */
export async function connectToProcess(word: string): Promise<ControlClient> {
  return await connectToFound(findProcess(word));
}

/**
 * Connects to a process that was found.
 *
 * @param name what errors call it
 */
export async function connectToFound(found: FoundProcess, name: string = found.name): Promise<ControlClient> {
  const check = (pid: number | undefined): void => {
    if (isSuspended(pid)) throw stopped(name, pid);
  };
  const control = await connectControl(found.path, { what: name, full: () => check(found.pid) });
  try {
    check(control.peer.pid);
  } catch (error) {
    control.close();
    throw error;
  }
  return control;
}

class Found implements FoundProcess {
  readonly name: string;
  readonly path: string;

  constructor(name: string, path: string) {
    this.name = name;
    this.path = path;
  }

  get pid(): number | undefined {
    return listenerOf(this.path);
  }
}

/** Whether a word for a process is the directory of a switch. */
export function isPath(word: string): boolean {
  return word.includes('/') || word === '.' || word === '..';
}

function findByName(name: string): FoundProcess | undefined {
  const path = join(runtimeDirectory(), name);
  if (!namesInRuntimeDirectory().includes(name)) return undefined;
  return isAlive(path) ? new Found(name, path) : undefined;
}

function findByPid(pid: number): FoundProcess | undefined {
  const directory = runtimeDirectory();
  const paths = namesInRuntimeDirectory().map((name) => join(directory, name));
  // Of one that cannot be looked into from here, only itself can tell.
  const path = listenedOnBy(pid, paths) ?? paths.find((candidate) => listenerOf(candidate) === pid);
  return path === undefined ? undefined : { name: basename(path), path, pid };
}

/** Of a switch's directory whoever serves it; the path of a socket is a control socket's. */
function findByPath(word: string): FoundProcess | undefined {
  const path = resolve(word);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isSocket() === true) return new Found(word, path);
  if (stats?.isDirectory() !== true) return undefined;
  const socket = join(path, SWITCH_SOCKET);
  const owner = listenerOwner(socket);
  if (owner === undefined) throw cannot(word, 'no switch is there', 'ENOENT');
  const { uid } = owner;
  if (uid !== process.geteuid?.()) throw cannot(word, `the switch there belongs to another user, uid ${uid}`, 'EACCES');
  // From within a network namespace the kernel does not tell; the socket itself does.
  const pid = owner.pid ?? listenerOf(socket);
  if (pid === undefined) throw cannot(word, 'nobody serves a switch there any more', 'ECONNREFUSED');
  const found = findByPid(pid);
  if (found !== undefined) return found;
  throw cannot(word, `process ${pid} serves the switch there, and has no control socket`, 'ENOENT');
}

/** What a process left that is gone is removed. */
function isAlive(path: string): boolean {
  const found = lookAt(path);
  if (found === undefined) return false;
  if (answers(path, path)) return true;
  removeStale(path, path, found.identity);
  return false;
}

function notFound(word: string): VdensError {
  const directory = runtimeDirectory();
  const names = namesInRuntimeDirectory().filter((name) => isAlive(join(directory, name)));
  const meant = nearest(word, names);
  const told = names.slice(0, MAX_NAMES_TOLD).join(', ');
  const more = names.length > MAX_NAMES_TOLD ? `, and ${names.length - MAX_NAMES_TOLD} more` : '';
  const others = names.length === 0 ? 'Nothing runs' : `What runs: ${told}${more}`;
  const isFolder = !isPath(word) && existsSync(join(word, SWITCH_SOCKET));
  const folder = `For the switch in the directory of that name: ./${word}`;
  const remedy = isFolder ? folder : meant === undefined ? others : `Did you mean: ${meant}`;
  const what = isPath(word) ? 'there is no directory of a switch' : 'nothing that runs has that name or pid';
  return cannot(word, what, 'ENOENT', remedy);
}

function cannot(word: string, problem: string, errno: string, remedy = 'See what runs: vde ls'): VdensError {
  return new VdensError('ERR_CONTROL', `${quote(word)}: ${problem}. ${remedy}`, { value: word, errno });
}
