/**
 * Checks of what can forbid an ordinary user to make namespaces.
 *
 * Each judges by the facts alone. Where a setting forbids only some (AppArmor, seccomp), the outcome of
 * the trial decides whether we are among them.
 */
import { profilePath } from './apparmor-profile.ts';
import { asRoot, type Check, onHost, quoted, settingSysctl } from './check.ts';
import type { Container, Facts } from './facts.ts';
import type { Trial } from './trial.ts';

/** Fewer namespaces than this, for all processes of a user together, are soon used up. */
const COMFORTABLE_NAMESPACES = 128;
/** What distributions that set a limit choose. */
const PROPOSED_NAMESPACES = 15_000;

/** How each kind of container is started so that namespaces and a TAP can be made in it. */
const permissiveContainers: Readonly<Record<Container, string>> = {
  docker:
    'docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined --device /dev/net/tun IMAGE',
  podman: 'podman run --security-opt seccomp=unconfined --security-opt unmask=ALL --device /dev/net/tun IMAGE',
  kubernetes: `kubectl patch deployment NAME --patch '{"spec":{"template":{"spec":{"securityContext":{"seccompProfile":{"type":"Unconfined"}}}}}}'`,
  other: 'systemd-nspawn --system-call-filter=@mount --bind=/dev/net/tun --directory=DIRECTORY',
};

/** How to start the container that this seems to be. */
export function permissiveContainer(container: Container): string {
  return permissiveContainers[container];
}

export function checkKernel({ hasProc, hasUserNamespaces, hasNetworkNamespaces, kernelRelease }: Facts): Check {
  const name = 'namespaces';
  if (!hasProc || (hasUserNamespaces && hasNetworkNamespaces)) {
    return { name, state: 'ok', detail: 'the kernel has user and network namespaces' };
  }
  const missing = hasUserNamespaces ? 'CONFIG_NET_NS' : 'CONFIG_USER_NS';
  const remedy = `grep -E 'CONFIG_(USER|NET)_NS' /boot/config-${kernelRelease}`;
  const detail = `the kernel was built without ${missing}; another kernel is needed`;
  return { name, state: 'problem', detail, remedy };
}

/** A patch of Debian and Arch; Debian 10 and older ship with 0. */
export function checkUnprivilegedUserns(facts: Facts): Check {
  const name = 'user namespaces';
  if (facts.unprivilegedUsernsClone !== 0) return { name, state: 'ok', detail: 'not for root alone' };
  const detail = `only root may make user namespaces: kernel.unprivileged_userns_clone is 0${onHost(facts)}`;
  return { name, state: 'problem', detail, remedy: settingSysctl(facts, 'kernel.unprivileged_userns_clone', '1') };
}

/** user.max_*_namespaces (namespaces(7)); 0 is how RHEL 7 and hardened systems forbid them. */
export function checkLimits(facts: Facts): Check {
  const name = 'limits';
  const limits = [
    ['user.max_user_namespaces', facts.maxUserNamespaces],
    ['user.max_net_namespaces', facts.maxNetworkNamespaces],
  ] as const;
  const lowest = limits.toSorted(([, a = Infinity], [, b = Infinity]) => a - b)[0]!;
  const [key, value = Infinity] = lowest;
  const remedy = settingSysctl(facts, key, String(PROPOSED_NAMESPACES));
  if (value === 0)
    return { name, state: 'problem', detail: `${key} is 0, which forbids such namespaces${onHost(facts)}`, remedy };
  const isFull = facts.trial.outcome === 'failed' && ['ENOSPC', 'EUSERS'].includes(facts.trial.errno);
  if (isFull && facts.trial.step.endsWith('ns')) {
    const detail = `no namespace is left (${key} is ${value}), or there are 32 nested in each other; it is not about disk space`;
    return { name, state: 'problem', detail: detail + onHost(facts), remedy };
  }
  if (value < COMFORTABLE_NAMESPACES) {
    return { name, state: 'warning', detail: `${key} is only ${value}${onHost(facts)}`, remedy };
  }
  return { name, state: 'ok', detail: value === Infinity ? 'none' : `${value} namespaces` };
}

/** Ubuntu from 23.10 on: a user namespace can be made, but whoever has no profile has no rights in it. */
export function checkAppArmor(facts: Facts): Check {
  const name = 'AppArmor';
  if ((facts.apparmorRestriction ?? 0) === 0) return { name, state: 'ok', detail: 'does not restrict user namespaces' };
  if (facts.trial.outcome !== 'not run' && !wasRefused(facts.trial)) {
    return { name, state: 'ok', detail: 'restricts user namespaces, but not those of our helper' };
  }
  const detail = `only programs with an AppArmor profile may use user namespaces, and ${quoted(facts.launchPath)} has none${onHost(facts)}`;
  const print = `${quoted(facts.vdeCommand)} doctor --print-apparmor`;
  const remedy = `${print} | ${asRoot(facts, `tee ${profilePath}`)} && ${asRoot(facts, `apparmor_parser -r ${profilePath}`)}`;
  return { name, state: 'problem', detail, remedy };
}

/** Docker's filter forbids unshare(2) and mount(2); so does RestrictNamespaces= of a systemd service. */
export function checkSeccomp(facts: Facts): Check {
  const name = 'seccomp';
  const { container, hasSeccompFilter, trial } = facts;
  if (!hasSeccompFilter) return { name, state: 'ok', detail: 'no filter' };
  if (trial.outcome === 'works') return { name, state: 'ok', detail: 'a filter is there, and lets us make namespaces' };
  // Without a failure that a filter can be blamed for, it is only something to know about.
  const isBlamed = wasRefused(trial);
  const state = isBlamed ? 'problem' : 'warning';
  if (container !== undefined) {
    const detail = "the container's seccomp filter can forbid namespaces; start the container without it";
    return { name, state, detail, remedy: permissiveContainer(container) };
  }
  const detail = 'a seccomp filter can forbid namespaces; a systemd service needs RestrictNamespaces=no';
  return {
    name,
    state,
    detail,
    remedy: 'systemctl show --property=RestrictNamespaces,SystemCallFilter "$(ps -o unit= -p $$)"',
  };
}

/** The kernel allows no user namespace to a process whose root was changed by chroot(2) (user_namespaces(7)). */
export function checkChroot({ isChroot }: Facts): Check {
  const name = 'chroot';
  if (!isChroot) return { name, state: 'ok', detail: 'this is none' };
  const detail =
    'this is a chroot, and the kernel allows no user namespaces in one; enter the folder as a container instead';
  return { name, state: 'problem', detail, remedy: 'sudo systemd-nspawn --directory=DIRECTORY --bind=/dev/net/tun' };
}

/** Whether making or using a namespace was forbidden; the mode of /dev/net/tun is another matter. */
function wasRefused(trial: Trial): boolean {
  return trial.outcome === 'failed' && trial.step !== 'tun-open' && ['EPERM', 'EACCES', 'ENOSYS'].includes(trial.errno);
}
