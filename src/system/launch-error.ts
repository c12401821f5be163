/** Failures of the `launch` helper in words. */
import { VdensError } from '../errors.ts';
import { errnoName } from './native.ts';

/** The text of a failure in `launch`, by the step that failed. `vde doctor` knows more. */
const STEPS: Readonly<Record<string, string>> = {
  userns: 'cannot make a user namespace',
  netns: 'cannot make a network namespace',
  utsns: 'cannot make a UTS namespace',
  mountns: 'cannot make a mount namespace',
  setgroups: 'cannot give up setgroups in the user namespace',
  uid_map: 'cannot map the user into the user namespace',
  gid_map: 'cannot map the group into the user namespace',
  hostname: 'cannot set the host name',
  etc: 'cannot make a private /etc',
  netlink: 'cannot open an rtnetlink socket',
  listen: 'cannot open a socket for DHCP',
  'tun-open': 'cannot open the TUN/TAP device',
  'tun-attach': 'cannot make the TAP interface',
  join: 'cannot join the namespaces',
  capabilities: 'cannot set the capabilities',
  fork: 'cannot start the command',
};

const HELPER_REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: 'In a checkout, run: npm run build',
  EMFILE: 'There are too many open files. See: ulimit -n',
  EAGAIN: 'There are too many processes. See: ulimit -u',
};

/** The error for a step of `launch` that failed with `errno` (positive) on `subject`. */
export function launchError(step: string, errno: number, subject: string): VdensError {
  const name = errno > 0 ? errnoName(-errno) : 'unknown error';
  const text = `${STEPS[step] ?? step} (${subject}: ${name}). To see what this machine lacks, run: vde doctor`;
  const code = step.startsWith('tun') ? 'ERR_TAP' : 'ERR_NAMESPACE';
  return new VdensError(code, text, { errno: name, syscall: step, value: subject });
}

/** The error for a helper that cannot be started at all. */
export function helperError(path: string, errno: string, cause?: unknown): VdensError {
  const remedy = HELPER_REMEDIES[errno] ?? 'See: vde doctor';
  return new VdensError('ERR_NATIVE', `cannot run the helper ${path} (${errno}). ${remedy}`, { errno, cause });
}
