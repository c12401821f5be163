/**
 * Runs one file of tests in a process of its own, and answers what became of it.
 *
 * The runner of node:test is not asked to do this: it gives no bound on a test that blocks its thread, it waits
 * forever for output held open by a stray process, and its answer differs between versions of Node.js.
 */
import { spawn } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcessesOf, filesIn, markerName } from './leftovers.mjs';

const keptOutputBytes = 1 << 20;

/**
 * Runs `file` (relative to `place.root`, compiled) and answers
 * `{ passed, skips: [{ name, reason }], failures: [{ name, where, text }], durationMs }`.
 *
 * `limits.silenceMs` is the longest time without the end of a test, `limits.fileMs` that of the whole file. When
 * `signal` aborts, the file is ended at once. What the file leaves behind is removed and counts as a failure.
 */
export async function runFile({ file, number, place, namePattern, limits, signal }) {
  const temporary = join(place.scratch, `${number}`);
  const report = join(place.scratch, `${number}.report`);
  mkdirSync(temporary, { mode: 0o700 });
  const sockets = join(place.scratch, `${number}.sockets`);
  mkdirSync(sockets, { mode: 0o700 });
  if (place.user !== undefined)
    for (const path of [temporary, sockets]) chownSync(path, place.user.uid, place.user.gid);
  const marker = `${place.scratch}:${number}`;
  const args = ['--enable-source-maps', `--test-reporter=${join(place.root, 'scripts/testing/reporter.mjs')}`];
  args.push(`--test-reporter-destination=${report}`);
  if (namePattern !== undefined) args.push(`--test-name-pattern=${namePattern}`);
  const start = performance.now();
  const [command, ...words] = [...place.as, place.node, ...args, join(place.root, file)];
  const child = spawn(command, words, {
    ...place.identity,
    cwd: place.root,
    env: { ...place.env, ...folders(temporary, sockets), [markerName]: marker },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const output = collect(child);
  const ending = new Promise((resolve) => {
    child.once('exit', (status, killedBy) => resolve({ status, killedBy }));
    child.once('error', (error) => resolve({ status: null, killedBy: null, startError: error.message }));
  });
  const lost = await watch({ child, ending, report, start, limits, signal });
  const end = await ending;
  await sleep(10); // The last of the output may still be in the pipe, held open by a stray process.
  const left = await endProcessesOf({ marker, session: child.pid ?? -1 }, 2000);
  child.stdout?.destroy();
  child.stderr?.destroy();
  left.push(...filesIn(temporary));
  rmSync(temporary, { recursive: true, force: true });
  const result = readReport(report);
  rmSync(report, { force: true });
  // A process that was killed leaves its socket; whoever looks removes it.
  rmSync(sockets, { recursive: true, force: true });
  addFileFailures(result, { ...end, lost, left, output: output() });
  return { file, ...result, durationMs: performance.now() - start };
}

function folders(temporary, sockets) {
  return { TMPDIR: temporary, TMUX_TMPDIR: temporary, VDENS_RUNTIME_DIR: sockets };
}

/** Ends the child when it takes too long; answers why, or undefined when the child ended by itself. */
async function watch({ child, ending, report, start, limits, signal }) {
  let isOver = false;
  ending.then(() => {
    isOver = true;
  });
  let seenBytes = -1;
  let seenAt = performance.now();
  while (!isOver) {
    await Promise.race([ending, sleep(100)]);
    const bytes = statSync(report, { throwIfNoEntry: false })?.size ?? 0;
    const now = performance.now();
    if (bytes !== seenBytes) {
      seenBytes = bytes;
      seenAt = now;
    }
    let why;
    if (signal.aborted) why = String(signal.reason);
    else if (now - seenAt > limits.silenceMs) why = `no test ended within ${limits.silenceMs / 1000} s`;
    else if (now - start > limits.fileMs) why = `the file took longer than ${limits.fileMs / 1000} s`;
    if (why === undefined || isOver) continue;
    child.kill('SIGKILL');
    await ending;
    return why;
  }
  return undefined;
}

/** Counts what the reporter wrote. Only tests without children count: a parent repeats what its children say. */
function readReport(path) {
  const result = { passed: 0, skips: [], failures: [], notes: [], running: undefined, isDone: false };
  const childrenOf = []; // By nesting: the lines whose parent is still to come.
  for (const line of linesOf(path)) {
    if (line.event === 'start') result.running = line.name;
    else if (line.event === 'note') result.notes.push(line.text);
    else if (line.event === 'done') result.isDone = true;
    else if (line.event === 'end') {
      const children = childrenOf[line.nesting + 1] ?? [];
      childrenOf[line.nesting + 1] = [];
      childrenOf[line.nesting] ??= [];
      childrenOf[line.nesting].push(line, ...children);
      for (const child of children) child.path = `${line.name} > ${child.path ?? child.name}`;
      line.isParent = children.length > 0 || line.isSuite;
      result.running = undefined;
    }
  }
  for (const line of childrenOf.flat()) {
    const name = line.path ?? line.name;
    if (line.outcome === 'failed' && !line.isByChildren)
      result.failures.push({ name, where: line.where, text: line.error ?? '' });
    else if (isLeftOut(line)) result.skips.push({ name, reason: line.reason });
    else if (line.outcome === 'passed' && !line.isParent) result.passed += 1;
  }
  return result;
}

/** Not the tests that `--name` does not ask for: some versions of Node.js report them as skipped. */
function isLeftOut(line) {
  if (line.outcome !== 'skipped' || /does not match pattern/.test(line.reason)) return false;
  return !line.isParent || line.isSuite;
}

function linesOf(path) {
  let text;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return []; // The file failed before its first test, which the exit status tells.
  }
  const complete = text.slice(0, text.lastIndexOf('\n') + 1);
  return complete
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** Failures of the file as a whole: it did not come to its end, or it left something behind. */
function addFileFailures(result, { status, killedBy, startError, lost, left, output }) {
  const whole = '(the file as a whole)';
  const during = result.running === undefined ? '' : `, during: ${result.running}`;
  const context = [...result.notes, output].filter((text) => text !== '').join('\n');
  if (startError !== undefined) result.failures.push({ name: whole, text: startError });
  else if (lost !== undefined)
    result.failures.push({ name: whole, text: `ended by the runner: ${lost}${during}\n${context}` });
  else if (!result.isDone || (status !== 0 && result.failures.length === 0)) {
    const what = result.isDone ? 'it failed outside its tests' : 'it ended before its tests did';
    const how = killedBy === null ? `exit status ${status}` : `killed by ${killedBy}`;
    result.failures.push({ name: whole, text: `${what}: ${how}${during}\n${context}` });
  } else if (result.failures.length > 0 && context !== '') {
    result.failures.at(-1).text += `\noutput of the file:\n${context}`;
  }
  if (left.length > 0) result.failures.push({ name: whole, text: `it left something behind:\n${left.join('\n')}` });
}

/** Collects what the child prints; the answer is called for the text so far, the last part of it when it is long. */
function collect(child) {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk) => {
      text = (text + chunk).slice(-keptOutputBytes);
    });
  }
  return () => text.trim();
}
