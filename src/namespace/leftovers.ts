/**
 * The last resort against processes that outlive their supervisor: when that was killed with SIGKILL, whatever it
 * supervised is found by its network namespace and killed.
 */
import { readdirSync, readlinkSync } from 'node:fs';

/** A new process may be forked while we look; more rounds than this mean something else is wrong. */
const MAX_ROUNDS = 20;

/** The identity of the network namespace of a process: `net:[4026532281]`. */
export function networkNamespaceOf(pid: number | string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined; // gone, or somebody else's
  }
}

/** Kills every process in the network namespace, except those to be spared. */
export function killProcessesIn(namespace: string, spare: readonly number[]): void {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const found = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && !spare.includes(Number(name)))
      .filter((pid) => networkNamespaceOf(pid) === namespace)
      .map(Number);
    if (found.length === 0) return;
    for (const pid of found) kill(pid);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
