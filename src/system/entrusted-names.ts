/**
 * Names in the file system that have to go even when this process is killed: they are told to whoever holds a set of
 * namespaces for us (native/launch/control.c), which outlives us for a moment and removes them.
 */

const REMOVE = 'u';
const FORGET = 'k';
const FORGET_ALL = 'K';

/** Passes a message on to a process that notices our end. */
export type Executor = (message: Uint8Array) => void;

const executors = new Set<Executor>();
/** Those that are there at present. */
const names = new Set<string>();

/** Names are told to it, too: those that are there, and others from now on. */
export function addExecutor(executor: Executor): void {
  executors.add(executor);
  for (const path of names) executor(orderOf(REMOVE, path));
}

/** Before it notices an end that is not ours: the names stay. */
export function removeExecutor(executor: Executor): void {
  if (executors.delete(executor)) executor(orderOf(FORGET_ALL, ''));
}

/** The name is to be removed when we end without having done so. */
export function entrustName(path: string): void {
  names.add(path);
  tell(REMOVE, path);
}

/** The name is gone. */
export function reclaimName(path: string): void {
  names.delete(path);
  tell(FORGET, path);
}

function tell(order: string, path: string): void {
  for (const executor of executors) executor(orderOf(order, path));
}

function orderOf(order: string, path: string): Uint8Array {
  return Buffer.from(`${order}${path}`);
}
