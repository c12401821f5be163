/**
 * One line for people about a failure of the helper: what was tried, what happened, why, what to do.
 */
import type { Facts } from './facts.ts';
import { obstacles } from './obstacles.ts';

interface Step {
  /** What the step was to do, after "cannot". */
  readonly action: string;
  /** The system call, or the file written. */
  readonly call: string;
  /** Behind which of the two the subject of the failure belongs, if it says more. */
  readonly subject?: 'action' | 'call';
}

const steps: Readonly<Record<string, Step>> = {
  userns: { action: 'create a user namespace', call: 'unshare' },
  netns: { action: 'create a network namespace', call: 'unshare' },
  mountns: { action: 'create a mount namespace', call: 'unshare' },
  utsns: { action: 'create a UTS namespace', call: 'unshare' },
  uid_map: { action: 'map the user into its namespace', call: '/proc/self/uid_map' },
  setgroups: { action: 'give up setgroups in the user namespace', call: '/proc/self/setgroups' },
  gid_map: { action: 'map the group into its namespace', call: '/proc/self/gid_map' },
  'tun-open': { action: 'open /dev/net/tun', call: 'open' },
  'tun-attach': { action: 'create the TAP interface', call: 'TUNSETIFF', subject: 'action' },
  netlink: { action: 'open an rtnetlink socket in the namespace', call: 'socket' },
  hostname: { action: 'set the host name', call: 'sethostname', subject: 'action' },
  etc: { action: 'make a private /etc', call: 'mount', subject: 'call' },
  capabilities: { action: 'give the command its capabilities', call: 'prctl' },
  fork: { action: 'start a process', call: 'fork' },
  socket: { action: 'make a socket to the helper', call: 'socketpair' },
  join: { action: 'join the namespace', call: 'setns' },
};

/** Errors that mean the same at every step. */
const generalHints: Readonly<Record<string, string>> = {
  EAGAIN: 'the limit of processes is reached. See it with: ulimit -u',
  EMFILE: 'the limit of open files is reached. Raise it with: ulimit -n 4096',
  ENFILE: 'the limit of open files of the whole machine is reached. See it with: sysctl fs.file-max',
  ENOMEM: 'there is no memory left. See it with: free -h',
  ESRCH: 'its process is gone',
};

/** Errors that mean something at one step alone. */
const stepHints: Readonly<Record<string, string>> = {
  'hostname EINVAL': 'a host name has at most 64 bytes',
  'tun-attach EBUSY': 'there is an interface of that name already. Choose another with: --iface NAME',
  'tun-attach EINVAL': 'that is no name for an interface: at most 15 bytes, no slash and no space, for example vde0',
  'join EPERM': 'the namespace is of another user. Become that user with: sudo -u USER',
  'join ENOENT': 'its process is gone',
};

/** Whether the helper has a step of this name. */
export function isLaunchStep(step: string): boolean {
  return steps[step] !== undefined;
}

/**
 * The line that `vdens` prints when its helper failed.
 *
 * @param step the step that failed, as the helper names it
 * @param errno the kernel's name of the error, such as `EPERM`
 * @param facts of this machine; their trial does not matter
 * @param subject what the step was about (an interface's name, a path), as the helper says it
 */
export function explainLaunchFailure(step: string, errno: string, facts: Facts, subject?: string): string {
  const known: Step = steps[step] ?? { action: `do the step ${step}`, call: 'launch' };
  const { action, call, subject: place } = known;
  const after = (where: 'action' | 'call'): string => (where === place && subject !== undefined ? ` ${subject}` : '');
  return `vdens: cannot ${action}${after('action')} (${call}${after('call')}: ${errno})${reason(step, errno, facts)}`;
}

function reason(step: string, errno: string, facts: Facts): string {
  const afterFailure: Facts = { ...facts, trial: { outcome: 'failed', step, errno } };
  const behind = obstacles
    .filter((obstacle) => obstacle.steps.includes(step) && obstacle.errnos?.includes(errno) !== false)
    .map((obstacle) => obstacle.check(afterFailure))
    .find((check) => check?.state === 'problem');
  if (behind !== undefined) {
    const remedy = behind.remedy === undefined ? '' : `. Run: ${behind.remedy}`;
    return `: ${behind.detail}${remedy}`;
  }
  const hint = stepHints[`${step} ${errno}`] ?? generalHints[errno];
  return hint === undefined ? `. To see what this machine lacks, run: ${facts.vdeCommand} doctor` : `: ${hint}`;
}
