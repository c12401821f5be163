/**
 * Where and as whom the tests run.
 *
 * The program is for ordinary users, so its tests run as one. Started by root, the tests get a user of their own
 * and a copy of the checkout that this user can read; started by anyone else, they run in place.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findUser, makeUser } from './accounts.mjs';
import { absenceVariable, asUser, findOtherUser, obstacleOf } from './other-user.mjs';
import { searchPath } from './packages.mjs';

const tun = '/dev/net/tun';
/** Top-level entries that no test reads. */
const leftBehind = new Set(['.git', 'coverage']);

/**
 * Decides the place: `root` (checkout to run in), `scratch` (for temporary files), `identity` (for `spawn`) and `as`
 * (arguments in front of a command), which together run it as the user, `env` (of every test), `other` (the second user
 * and the group, if there can be one) and `remove()`, which takes everything away that was made here.
 * Throws an Error with one line for people when there can be no such place.
 */
export function preparePlace({ checkout, userName, say }) {
  if (process.getuid() !== 0) return placeOfOrdinaryUser(checkout, say);
  const user = findUser(userName) ?? makeUser(userName, say);
  if (user.uid === 0) throw new Error(`the tests need an ordinary user, and ${userName} is root`);
  openTun(say);
  const made = [];
  const remove = () => made.splice(0).forEach((path) => void rmSync(path, { recursive: true, force: true }));
  try {
    const scratch = makeScratch(made, user);
    const root = copyCheckout(checkout, user, made);
    const node = reachableNode(user, root);
    const env = freshEnv(user, node);
    say(`Tests run as the user ${user.name}, in a copy of the checkout: ${root}`);
    return { root, scratch, user, node, env, remove, ...identify(user, { node, root }, env, say) };
  } catch (error) {
    remove();
    throw error;
  }
}

/** How to become the user, and the second user if there can be one. */
function identify(user, { node, root }, env, say) {
  const found = findOtherUser({ firstUser: user, say });
  const absence = found.absence ?? obstacleOf(found.user, { node, root });
  if (absence === undefined) return { identity: {}, as: asUser(user, [found.group.gid]), other: found };
  say(`Tests that need a second user are left out: ${absence}`);
  env[absenceVariable] = absence;
  return { identity: { uid: user.uid, gid: user.gid }, as: [], other: undefined };
}

function placeOfOrdinaryUser(checkout, say) {
  try {
    if ((statSync(tun).mode & 0o006) !== 0o006) say(`${tun} is not open to everyone: as root, chmod 0666 ${tun}`);
  } catch {
    say(`${tun} is missing: as root, modprobe tun`);
  }
  const made = [];
  const scratch = makeScratch(made, undefined);
  return {
    root: checkout,
    scratch,
    user: undefined,
    node: process.execPath,
    identity: {},
    as: [],
    other: undefined,
    env: { ...process.env, PATH: searchPath(`${dirname(process.execPath)}:${process.env.PATH ?? ''}`) },
    remove: () => made.splice(0).forEach((path) => void rmSync(path, { recursive: true, force: true })),
  };
}

/** Lets everyone open the TUN device, as udev does on an installed Debian; makes its node when there is none. */
function openTun(say) {
  try {
    if (statSync(tun, { throwIfNoEntry: false }) === undefined) {
      mkdirSync(dirname(tun), { recursive: true });
      const { status, stderr } = spawnSync('mknod', [tun, 'c', '10', '200'], { encoding: 'utf8' });
      if (status !== 0) throw new Error(stderr.trim());
      say(`Made ${tun}`);
    }
    if ((statSync(tun).mode & 0o006) === 0o006) return;
    chmodSync(tun, 0o666);
    say(`Opened ${tun} to everyone (chmod 0666)`);
  } catch (error) {
    say(`${tun} stays closed to ordinary users (${error.message}): tests with real interfaces will fail`);
  }
}

/** A folder for temporary files. Its path is short, because the path of a socket may have 107 bytes only. */
function makeScratch(made, user) {
  const scratch = mkdtempSync('/tmp/vdens-run-');
  made.push(scratch);
  if (user === undefined) return scratch;
  chownSync(scratch, user.uid, user.gid);
  chmodSync(scratch, 0o711); // A second user passes through to what a test opens to it.
  return scratch;
}

/** A copy of the user's own below its home (on a disk, and never mounted noexec as /tmp may be), which all may read. */
function copyCheckout(checkout, user, made) {
  mkdirSync(user.home, { recursive: true });
  const copy = mkdtempSync(join(user.home, 'checkout-'));
  made.push(copy);
  const entries = readdirSync(checkout).filter((entry) => !leftBehind.has(entry));
  const sources = entries.map((entry) => join(checkout, entry));
  // -d keeps symbolic links as they are, relative ones included; times stay, so that nothing looks out of date.
  must('cp', ['-d', '-R', '--preserve=mode,timestamps', '--reflink=auto', '-t', copy, ...sources]);
  must('chown', ['-R', '-h', `${user.uid}:${user.gid}`, copy]);
  must('chmod', ['-R', 'u+rwX,go+rX', copy]);
  return copy;
}

/** A Node.js that the user can execute: ours, or a copy of it when ours is, say, below root's home. */
function reachableNode(user, root) {
  const probe = spawnSync(process.execPath, ['-e', '0'], { uid: user.uid, gid: user.gid, cwd: '/', stdio: 'ignore' });
  if (probe.status === 0) return process.execPath;
  const copy = join(root, '.node', 'node');
  mkdirSync(dirname(copy));
  copyFileSync(process.execPath, copy);
  chmodSync(copy, 0o755);
  return copy;
}

/** The environment of a fresh login, and no trace of root's. */
function freshEnv(user, node) {
  const kept = ['LANG', 'CC', 'CFLAGS', 'CI', 'VDENS_DEBUG'].filter((name) => process.env[name] !== undefined);
  return {
    LANG: 'C.UTF-8',
    TERM: 'xterm-256color',
    ...Object.fromEntries(kept.map((name) => [name, process.env[name]])),
    HOME: user.home,
    USER: user.name,
    LOGNAME: user.name,
    SHELL: '/bin/bash',
    PATH: `${dirname(node)}:${searchPath('')}`,
  };
}

function must(command, args) {
  const run = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  if (run.status !== 0) throw new Error(`${command} failed: ${run.error?.message ?? run.stderr.trim()}`);
}
