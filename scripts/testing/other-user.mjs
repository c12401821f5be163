/**
 * A second ordinary user, for tests of who may do what.
 *
 * Tests run as one user and cannot become another. The runner, when root started it, can: it listens on a socket that
 * the tests' user alone can reach, and runs what it is asked to as `vdens-test2`, never as anybody else. Both users are
 * in the group `vdens-tests`, unless a request asks to be left out of it. test/fixtures/other-user.ts is the client.
 *
 * One connection is one program. Both sides send lines of JSON; bytes travel as base64:
 *
 *     client ──▶ { argv, env, cwd, isInGroup }, then { input }, { endInput }, { kill: 'SIGTERM' }
 *     client ◀── { stdout }, { stderr }, then { exit: { status, signal } } or { error }
 *
 * The end of the connection ends the program, with its process group.
 */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, lchownSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findUser, makeUser } from './accounts.mjs';
import { isInstalled, searchPath } from './packages.mjs';

const otherName = 'vdens-test2';
const groupName = 'vdens-tests';
/** What tests read: the socket's path, the name of the group, or why there is no second user. */
export const socketVariable = 'VDENS_TEST_OTHER_USER';
export const groupVariable = 'VDENS_TEST_GROUP';
export const absenceVariable = 'VDENS_TEST_NO_OTHER_USER';

const maxRequestBytes = 1 << 20;
/** How long output may come after the program's end; a stray descendant may hold it open. */
const lastOutputMs = 200;

/** The arguments in front of a command that runs it as `user`, with these supplementary groups alone. */
export function asUser(user, groups) {
  const groupOption = groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`;
  return ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, groupOption, '--'];
}

/**
 * The second user and the group, made when they are missing: `{ user, group: { name, gid } }`, or `{ absence }`, one
 * line that says why there is none. Never throws: it only leaves tests out.
 */
export function findOtherUser({ firstUser, say }) {
  try {
    if (!isInstalled('setpriv')) return { absence: 'a second user needs setpriv (Debian: util-linux)' };
    if (firstUser.name === otherName) return { absence: `the tests run as ${otherName} already` };
    const user = findUser(otherName) ?? makeUser(otherName, say);
    if (user.uid === 0 || user.uid === firstUser.uid) return { absence: `${otherName} is no user of its own` };
    return { user, group: { name: groupName, gid: findGroup(groupName) ?? makeGroup(groupName, say) } };
  } catch (error) {
    return { absence: error.message };
  }
}

/**
 * Why the second user cannot run our programs in the checkout, or undefined when it can: a folder on the way may be
 * closed to others.
 */
export function obstacleOf(user, { node, root }) {
  const [command, ...args] = [...asUser(user, []), node, join(root, 'scripts', 'testing', 'accounts.mjs')];
  const options = { cwd: '/', encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: searchPath() } };
  const run = spawnSync(command, args, options);
  return run.status === 0 ? undefined : `${user.name} cannot read the checkout in ${root}`;
}

/**
 * Listens in `folder`, which is made for it and given to `owner`. `env` is what every program gets besides what is
 * asked for. Answers the socket's path and `close()`, which ends the programs, too.
 */
export async function serveOtherUser({ folder, owner, other, group, env }) {
  mkdirSync(folder, { mode: 0o700 });
  const path = join(folder, 'socket');
  const running = new Set();
  const server = createServer((connection) => {
    const served = serve(connection, { other, group, env }).finally(() => running.delete(served));
    served.connection = connection;
    running.add(served);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(path, resolve));
  // The folder is still root's alone: nobody gets at the socket before it is the owner's.
  chmodSync(path, 0o600);
  for (const name of [path, folder]) lchownSync(name, owner.uid, owner.gid);
  const close = async () => {
    server.close();
    for (const { connection } of running) connection.destroy();
    await Promise.race([Promise.all(running), sleep(2000, undefined, { ref: false })]);
  };
  return { path, close };
}

/** Serves one connection to its end. Resolves when the program has ended, too. */
async function serve(connection, context) {
  const say = (message) => connection.writable && connection.write(`${JSON.stringify(message)}\n`);
  let child;
  let ending;
  connection.on('error', () => {}); // Its end is what counts.
  const take = (message) => {
    if (child !== undefined) return obey(child, message);
    child = start(message, context);
    ending = report(child, say).finally(() => connection.end());
  };
  await new Promise((resolve) => {
    connection.once('close', resolve);
    readLines(connection, (line) => {
      try {
        take(JSON.parse(line));
      } catch (error) {
        say({ error: error.message });
        connection.end();
      }
    });
  });
  killGroup(child);
  await ending;
}

/** Starts what is asked for. What the request sets in the environment is set after root's rights are gone. */
function start(request, { other, group, env }) {
  const { argv, isInGroup } = request;
  check(Array.isArray(argv) && argv.length > 0 && argv.every(isText), 'argv is a list of words');
  check(!argv[0].includes('='), 'the name of a command has no = in it');
  check(isText(request.cwd ?? '/'), 'cwd is a path');
  const assignments = Object.entries({ ...env, ...request.env }).map(([name, value]) => {
    check(/^\w+$/.test(name) && isText(value), `${name} is a variable with a text`);
    return `${name}=${value}`;
  });
  const [command, ...args] = asUser(other, isInGroup === false ? [] : [group.gid]);
  const clean = ['env', '-i', '-C', request.cwd ?? '/', ...assignments];
  return spawn(command, [...args, ...clean, ...argv], {
    cwd: '/',
    env: { PATH: searchPath('') },
    stdio: 'pipe',
    detached: true,
  });
}

function obey(child, { input, endInput, kill }) {
  if (isText(input)) child.stdin.write(Buffer.from(input, 'base64'));
  if (endInput === true) child.stdin.end();
  if (Object.hasOwn(constants.signals, kill ?? '')) child.kill(kill);
}

/** Sends what the program prints, and last what became of it. */
async function report(child, say) {
  child.stdin.on('error', () => {}); // The program need not read its input.
  for (const name of ['stdout', 'stderr']) {
    child[name].on('data', (chunk) => void say({ [name]: chunk.toString('base64') }));
  }
  const closed = new Promise((resolve) => void child.once('close', resolve));
  const end = await new Promise((resolve) => {
    child.once('exit', (status, signal) => resolve({ exit: { status, signal } }));
    child.once('error', (error) => resolve({ error: error.message }));
  });
  await Promise.race([closed, sleep(lastOutputMs)]);
  say(end);
  child.stdout.destroy();
  child.stderr.destroy();
}

function readLines(connection, take) {
  let text = '';
  connection.setEncoding('utf8').on('data', (chunk) => {
    const lines = (text + chunk).split('\n');
    text = lines.pop();
    if (text.length > maxRequestBytes) connection.destroy();
    for (const line of lines) take(line);
  });
}

function isText(value) {
  return typeof value === 'string' && !value.includes('\0');
}

function check(holds, what) {
  if (!holds) throw new Error(`cannot run this as ${otherName}: ${what}`);
}

function killGroup(child) {
  if (child?.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nobody is left in it.
  }
}

function findGroup(name) {
  const { stdout, status } = spawnSync('getent', ['group', name], { encoding: 'utf8' });
  return status === 0 ? Number(stdout.split(':')[2]) : undefined;
}

function makeGroup(name, say) {
  say(`Making the group ${name}, which the users of the tests share`);
  const env = { ...process.env, PATH: searchPath() };
  const run = spawnSync('groupadd', ['--system', name], { encoding: 'utf8', env });
  const gid = findGroup(name);
  if (gid !== undefined) return gid;
  throw new Error(`cannot make the group ${name}: ${run.error?.message ?? run.stderr.trim()}`);
}
