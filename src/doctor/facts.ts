/**
 * What is known about this machine: everything the checks judge by, and nothing else looks at the machine.
 *
 * Reads files in /proc, the environment, and what lies where; changes nothing. What cannot be read is
 * undefined, never an error.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { release } from 'node:os';
import { delimiter, join } from 'node:path';
import { addonPath, launchPath } from '../system/native-directory.ts';
import type { Trial } from './trial.ts';

/** The kinds of container that have a command line of their own for what we need. */
export type Container = 'docker' | 'podman' | 'kubernetes' | 'other';

/** What is known about this machine. */
export interface Facts {
  readonly platform: string;
  readonly architecture: string;
  readonly nodeVersion: string;
  /** Release of the running kernel, such as `6.1.0-18-amd64`. */
  readonly kernelRelease: string;
  readonly uid: number;
  /** All groups of this process. */
  readonly gids: readonly number[];
  /** What to type for `vde`: the bare word when it is on the PATH. */
  readonly vdeCommand: string;
  /** Whether this is a source checkout, where `npm run build` makes the native parts. */
  readonly isCheckout: boolean;
  readonly launchPath: string;
  /** Native parts (paths) that are missing, or, for the helper, not executable. */
  readonly missingNativeParts: readonly string[];
  readonly container: Container | undefined;
  /** Whether / is not the root of the mount namespace. */
  readonly isChroot: boolean;
  readonly hasProc: boolean;
  readonly hasUserNamespaces: boolean;
  readonly hasNetworkNamespaces: boolean;
  /** Whether a seccomp filter watches our system calls. */
  readonly hasSeccompFilter: boolean;
  /** kernel.unprivileged_userns_clone; a patch of Debian, Arch and others. */
  readonly unprivilegedUsernsClone: number | undefined;
  readonly maxUserNamespaces: number | undefined;
  readonly maxNetworkNamespaces: number | undefined;
  /** kernel.apparmor_restrict_unprivileged_userns; Ubuntu from 23.10 on. */
  readonly apparmorRestriction: number | undefined;
  /** Why /dev/net/tun cannot be opened, such as `ENOENT`; undefined when it can. */
  readonly tunError: string | undefined;
  /** Whether the modules of the running kernel are there, were replaced by another kernel's, or there are none at all. */
  readonly kernelModules: 'present' | 'replaced' | 'none';
  /** First and last group that may send pings; see icmp(7). */
  readonly pingGroupRange: readonly [number, number] | undefined;
  readonly trial: Trial;
}

const packageRoot = join(import.meta.dirname, '..', '..', '..');

/** Gathers the facts. The trial is the caller's: `vdens` has just made its own when it asks. */
export function gatherFacts(trial: Trial): Facts {
  const status = read('/proc/self/status') ?? '';
  return {
    platform: process.platform,
    architecture: process.arch,
    nodeVersion: process.versions.node,
    kernelRelease: release(),
    uid: process.getuid?.() ?? -1,
    gids: [process.getegid?.() ?? -1, ...(process.getgroups?.() ?? [])],
    vdeCommand: vdeCommand(),
    isCheckout: existsSync(join(packageRoot, 'scripts', 'build.mjs')),
    launchPath,
    missingNativeParts: [
      ...(isAccessible(launchPath, constants.X_OK) ? [] : [launchPath]),
      ...(isAccessible(addonPath, constants.R_OK) ? [] : [addonPath]),
    ],
    container: container(),
    isChroot: isChroot(),
    hasProc: status !== '',
    hasUserNamespaces: existsSync('/proc/self/ns/user'),
    hasNetworkNamespaces: existsSync('/proc/self/ns/net'),
    // 2 is SECCOMP_MODE_FILTER (proc(5)).
    hasSeccompFilter: /^Seccomp:\s*2$/m.test(status),
    unprivilegedUsernsClone: sysctl('kernel/unprivileged_userns_clone')?.[0],
    maxUserNamespaces: sysctl('user/max_user_namespaces')?.[0],
    maxNetworkNamespaces: sysctl('user/max_net_namespaces')?.[0],
    apparmorRestriction: sysctl('kernel/apparmor_restrict_unprivileged_userns')?.[0],
    tunError: openError('/dev/net/tun'),
    kernelModules: kernelModules(),
    pingGroupRange: pair(sysctl('net/ipv4/ping_group_range')),
    trial,
  };
}

function vdeCommand(): string {
  const own = join(packageRoot, 'bin', 'vde');
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'vde'));
  return onPath.some((candidate) => realPath(candidate) === realPath(own)) ? 'vde' : own;
}

function container(): Container | undefined {
  if (process.env['KUBERNETES_SERVICE_HOST'] !== undefined) return 'kubernetes';
  if (existsSync('/run/.containerenv')) return 'podman';
  if (existsSync('/.dockerenv')) return 'docker';
  // systemd's convention, see its CONTAINER_INTERFACE document.
  return process.env['container'] !== undefined || existsSync('/run/systemd/container') ? 'other' : undefined;
}

/**
 * Whether our root is not that of the mount namespace: what the kernel asks before it makes a user namespace
 * (user_namespaces(7)). Only other processes show it, of those the ones that we may look at.
 */
function isChroot(): boolean {
  // A chroot into a folder that is no mount point: then no mount is at "/".
  const mounts = read('/proc/self/mountinfo');
  if (mounts !== undefined && !mounts.split('\n').some((line) => line.split(' ')[4] === '/')) return true;
  const others = list('/proc').filter((name) => /^\d+$/.test(name));
  return process.env['SCHROOT_SESSION_ID'] !== undefined || others.some(seesAnotherRoot);
}

/** Whether that process is in our mount namespace, at its root, and that is not where we are. */
function seesAnotherRoot(pid: string): boolean {
  try {
    // The link of a process in a chroot, seen from outside of it, is not "/".
    if (readlinkSync(`/proc/${pid}/root`) !== '/') return false;
    if (readlinkSync(`/proc/${pid}/ns/mnt`) !== readlinkSync('/proc/self/ns/mnt')) return false;
    const [theirs, ours] = [statSync(`/proc/${pid}/root/`), statSync('/')];
    return theirs.ino !== ours.ino || theirs.dev !== ours.dev;
  } catch {
    // Another user's process, or one that has ended: it tells nothing.
    return false;
  }
}

function kernelModules(): Facts['kernelModules'] {
  const folders = ['/lib/modules', '/usr/lib/modules', '/run/booted-system/kernel-modules/lib/modules'];
  if (folders.some((folder) => existsSync(join(folder, release())))) return 'present';
  return folders.some((folder) => list(folder).length > 0) ? 'replaced' : 'none';
}

function openError(path: string): string | undefined {
  try {
    closeSync(openSync(path, 'r+'));
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown error';
  }
}

function sysctl(path: string): number[] | undefined {
  return read(`/proc/sys/${path}`)?.trim().split(/\s+/).map(Number);
}

function pair(values: number[] | undefined): readonly [number, number] | undefined {
  return values?.length === 2 ? [values[0]!, values[1]!] : undefined;
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
