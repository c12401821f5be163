/**
 * What a test file left behind: processes, and files below /tmp.
 *
 * Every test file runs as the leader of a session of its own and with a marker in its environment; both are
 * inherited. A process belongs to the file when it has either. (A process that made itself undumpable hides its
 * environment from everyone but root, and one that called setsid left the session: hence two signs.)
 */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The environment variable that marks the processes of one test file. */
export const markerName = 'VDENS_TEST_FILE_RUN';

/**
 * Processes that belong to the test file with this marker and session: pid and command line. Zombies are none.
 * `variable` is the one that holds the marker.
 */
export function processesOf({ marker, session, variable = markerName }) {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .map((pid) => look(pid))
    .filter((seen) => seen !== undefined && seen.state !== 'Z' && seen.state !== 'X')
    .filter((seen) => seen.session === session || seen.environment.includes(`${variable}=${marker}\0`))
    .map(({ pid, command }) => ({ pid, command }));
}

/** Processes of `uid` that carry no marker of any test run: what escaped, or was there before. */
export function unmarkedProcessesOf(uid) {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && lstatSync(`/proc/${entry}`, { throwIfNoEntry: false })?.uid === uid)
    .map((pid) => look(pid))
    .filter((seen) => seen !== undefined && seen.state !== 'Z' && !seen.environment.includes(`${markerName}=`))
    .map(({ pid, command }) => `process ${pid}: ${command}`);
}

/** Waits a moment for the file's processes to go by themselves, ends the rest, and answers their names. */
export async function endProcessesOf(file, graceMs) {
  const deadline = Date.now() + graceMs;
  let left = processesOf(file);
  while (left.length > 0 && Date.now() < deadline) {
    await sleep(50);
    left = processesOf(file);
  }
  const names = left.map(({ pid, command }) => `process ${pid}: ${command}`);
  // A killed parent may have children that were not listed yet: look again until there is nothing to kill.
  for (let round = 0; left.length > 0 && round < 20; round += 1) {
    for (const { pid } of left) kill(pid);
    await sleep(50);
    left = processesOf(file);
  }
  return names;
}

/** Names of what is in `folder`, with what is in that, two levels deep. */
export function filesIn(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !/^(node-compile-cache|v8-compile-cache.*)$/.test(entry.name))
    .map((entry) => {
      const path = join(folder, entry.name);
      const inside = entry.isDirectory() ? safeList(path) : [];
      return inside.length === 0 ? `file ${path}` : `file ${path} (with ${inside.join(', ')})`;
    });
}

/** Entries of /tmp that belong to `uid` and whose name `isOurs` knows as one that tests make. */
export function entriesOfTmp(uid, isOurs) {
  return safeList('/tmp')
    .filter((name) => isOurs(name) && lstatSync(join('/tmp', name), { throwIfNoEntry: false })?.uid === uid)
    .map((name) => `file ${join('/tmp', name)}`);
}

function look(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name stands in parentheses and may hold anything, so fields are counted from the last parenthesis.
    const [state, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
    const name = stat.slice(stat.indexOf('('), stat.lastIndexOf(')') + 1);
    return { pid: Number(pid), state, session: Number(session), command: command || name, environment: environOf(pid) };
  } catch {
    return undefined; // It ended while we looked.
  }
}

function environOf(pid) {
  try {
    return `${readFileSync(`/proc/${pid}/environ`, 'latin1')}\0`;
  } catch {
    return ''; // Another user's, or undumpable.
  }
}

function safeList(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return []; // Gone meanwhile, or not ours to read.
  }
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It went by itself.
  }
}
