/** Who listens on a unix socket, found out without connecting to it. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { listeningSocket } from './listening-sockets.ts';

/** Whose a socket is. */
export interface ListenerOwner {
  /** The owner of the socket's file. */
  readonly uid: number;
  /** The process that listens; only of our own processes the kernel says it (proc_pid_fd(5)). */
  readonly pid: number | undefined;
}

/** A socket that listens in /proc/net/unix (unix(7)): its flags (__SO_ACCEPTCON), type, state, inode and name. */
const LISTENING_LINE = /^\S+ \S+ \S+ 00010000 \S+ \S+ +(\d+) (.*)$/gm;

/**
 * Who listens on the socket at the path; `undefined` when nothing is there.
 *
 * @param path absolute and without links
 */
export function listenerOwner(path: string): ListenerOwner | undefined {
  try {
    const stats = lstatSync(path);
    const inode = socketAt(path);
    return { uid: stats.uid, pid: inode === undefined ? undefined : holderOf(`socket:[${inode}]`) };
  } catch {
    return undefined;
  }
}

/**
 * The first of these paths on whose socket a process of ours listens.
 *
 * @param paths absolute and without links
 */
export function listenedOnBy(pid: number, paths: readonly string[]): string | undefined {
  const held = new Set(descriptorsOf(String(pid)));
  if (held.size === 0) return undefined;
  return paths.find((path) => {
    const inode = socketAt(path);
    return inode !== undefined && held.has(`socket:[${inode}]`);
  });
}

/** The inode of the socket that listens there. */
function socketAt(path: string): number | undefined {
  try {
    return listeningSocket(lstatSync(path)) ?? socketBoundTo(path);
  } catch {
    return undefined;
  }
}

/** Where the kernel does not tell a socket by its file: one whose name is still the one that it was bound to. */
function socketBoundTo(path: string): number | undefined {
  const sockets = readFileSync('/proc/net/unix', 'utf8').matchAll(LISTENING_LINE);
  const inode = [...sockets].find(([, , name]) => name === path)?.[1];
  return inode === undefined ? undefined : Number(inode);
}

/** The first process that has a descriptor of it. */
function holderOf(link: string): number | undefined {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const holder = pids.find((pid) => descriptorsOf(pid).includes(link));
  return holder === undefined ? undefined : Number(holder);
}

function descriptorsOf(pid: string): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).map((fd) => readLinkOf(`${folder}/${fd}`));
  } catch {
    return []; // It is gone, or somebody else's.
  }
}

function readLinkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // Closed meanwhile.
  }
}
