/**
 * Names in the file system that have to go even when this process is killed: they are told to whoever holds a set of
 * namespaces for us (native/launch/control.c), which outlives us for a moment and removes them.
 */

const REMOVE = 'u';
const FORGET = 'k';

/** Passes a message on to a process that notices our end. */
export type Executor = (message: Uint8Array) => void;

const executors = new Set<Executor>();

/** From now on names are told to it, too. */
export function addExecutor(executor: Executor): void {
  executors.add(executor);
}

export function removeExecutor(executor: Executor): void {
  executors.delete(executor);
}

/** The name is to be removed when we end without having done so. */
export function entrustName(path: string): void {
  tell(REMOVE, path);
}

/** The name is gone. */
export function reclaimName(path: string): void {
  tell(FORGET, path);
}

function tell(order: string, path: string): void {
  for (const executor of executors) executor(Buffer.from(`${order}${path}`));
}
