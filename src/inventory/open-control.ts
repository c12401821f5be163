/** Opens the control socket of a process in the runtime directory. */
import { join } from 'node:path';
import type { Operations } from '../control/operation.ts';
import { isProcessName, NAME_RULE } from '../control/process-name.ts';
import { openRuntimeDirectory, runtimeDirectory } from '../control/runtime-directory.ts';
import { ControlServer, listenerOf } from '../control/server.ts';
import { quote, VdensError } from '../errors.ts';
import type { Inventory } from './inventory.ts';
import { operationsOf } from './operations.ts';

/** In a container that shares the directory, another process may have our pid. */
const MAX_NAME_TRIES = 10;
/** Sockets are bound to a name that is hidden from those who look, until somebody listens. */
const BIND_NAME = '.new';

/** What it is called. */
export interface ControlName {
  /** That was given, if one was. */
  readonly name?: string | undefined;
  /** Of one that is made up. */
  readonly prefix: string;
  /** What it can be asked besides what all can. */
  readonly operations?: Operations | undefined;
}

/**
 * Serves the control socket of this process.
 *
 * @throws VdensError `ERR_USAGE` when a name is none; `ERR_CONTROL` when the directory is no place for it, or the name is taken
 */
export function openControl(inventory: Inventory, { name, prefix, operations: own }: ControlName): ControlServer {
  const directory = openRuntimeDirectory();
  const common = operationsOf(inventory);
  const operations = (): Operations =>
    Object.assign({}, ...inventory.items.map((item) => item.operations), own, common) as Operations;
  const bindPath = join(directory, BIND_NAME);
  const serve = (chosen: string): ControlServer => {
    const server = new ControlServer({ path: join(directory, chosen), operations, bindPath, label: chosen });
    inventory.name = chosen;
    return server;
  };
  if (name !== undefined) return serveNamed(checkName(name), serve);
  for (let tries = 1; ; tries++) {
    try {
      return serve(`${prefix}-${process.pid}${tries === 1 ? '' : `-${tries}`}`);
    } catch (error) {
      if (!isTaken(error) || tries === MAX_NAME_TRIES) throw error;
    }
  }
}

function checkName(name: string): string {
  if (isProcessName(name)) return name;
  throw new VdensError('ERR_USAGE', `${quote(name)} is not a name, which is ${NAME_RULE}`, { value: name });
}

function serveNamed(name: string, serve: (name: string) => ControlServer): ControlServer {
  try {
    return serve(name);
  } catch (error) {
    if (isOccupied(error)) {
      const message = `--name ${name}: there is something else of that name in ${runtimeDirectory()}. Choose another name, or remove it`;
      throw new VdensError('ERR_CONTROL', message, { value: name, errno: 'ENOTSOCK', cause: error });
    }
    if (!isTaken(error)) throw error;
    const pid = listenerOf(join(runtimeDirectory(), name));
    const who = pid === undefined ? '' : ` by process ${pid}`;
    const message = `--name ${name}: the name is taken${who}. Choose another one, or enter it: vde exec ${name}`;
    throw new VdensError('ERR_CONTROL', message, { value: name, errno: 'EADDRINUSE', cause: error });
  }
}

/** By a file, a directory or a link. */
function isOccupied(error: unknown): boolean {
  return error instanceof VdensError && error.errno === 'ENOTSOCK';
}

function isTaken(error: unknown): error is VdensError {
  return error instanceof VdensError && error.errno === 'EADDRINUSE';
}
