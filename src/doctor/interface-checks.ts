/**
 * Checks of what is needed besides namespaces: TAP interfaces, private files in /etc, pings.
 */
import { asRoot, type Check, settingSysctl } from './check.ts';
import type { Facts } from './facts.ts';
import { permissiveContainer } from './namespace-checks.ts';

/** Every group there can be (linux/uidgid.h; ip-sysctl documents this upper bound). */
const ALL_GROUPS = '0 2147483647';

export function checkTun(facts: Facts): Check {
  const name = '/dev/net/tun';
  const { container, kernelModules, kernelRelease, tunError } = facts;
  if (tunError === undefined) return { name, state: 'ok', detail: 'can be opened' };
  const problem = (detail: string, remedy: string): Check => ({ name, state: 'problem', detail, remedy });
  // EPERM is the device controller of a container: a file's mode gives EACCES.
  if (container !== undefined && (tunError !== 'EACCES' || facts.uid === 0)) {
    const detail = `the container was started without /dev/net/tun (${tunError})`;
    return problem(detail, permissiveContainer(container));
  }
  if (tunError === 'EACCES') {
    const rule = '/etc/udev/rules.d/99-vdens-tun.rules';
    const write = `echo 'KERNEL=="tun", MODE="0666"' | ${asRoot(facts, `tee ${rule}`)}`;
    return problem('only some users may open it (EACCES)', `${write} && ${asRoot(facts, 'chmod 0666 /dev/net/tun')}`);
  }
  if (kernelModules === 'replaced') {
    const detail = `the kernel was updated since the machine started, and the modules of ${kernelRelease} are gone (${tunError})`;
    return problem(detail, asRoot(facts, 'reboot'));
  }
  if (kernelModules === 'none') {
    const node = '/dev/net/tun c 10 200';
    const make = `${asRoot(facts, 'mkdir -p /dev/net')} && ${asRoot(facts, `mknod -m 0666 ${node}`)}`;
    return problem(`it is missing, and this kernel has no modules to load (${tunError})`, make);
  }
  return problem(`the module tun is not loaded (${tunError})`, asRoot(facts, 'modprobe tun'));
}

/** How much of a frame's work the kernel leaves to the other end; without, everything works, but slower. */
export function checkOffload({ trial, kernelRelease }: Facts): Check | undefined {
  if (trial.outcome !== 'works') return undefined;
  const name = 'TAP offload';
  const { offloads } = trial;
  if (offloads.includes('USO')) return { name, state: 'ok', detail: offloads.join(', ') };
  if (offloads.includes('TSO')) {
    const detail = `${offloads.join(', ')}; large pieces of UDP (USO) need Linux 6.2, this is ${kernelRelease}`;
    return { name, state: 'ok', detail };
  }
  return { name, state: 'warning', detail: 'none: everything works, but slower' };
}

/** A private resolv.conf is a file in an overlay over /etc, or is mounted over the host's. */
export function checkPrivateEtc({ trial, kernelRelease }: Facts): Check | undefined {
  if (trial.outcome !== 'works') return undefined;
  const name = 'private /etc';
  if (trial.privateEtc) return { name, state: 'ok', detail: 'resolv.conf and hosts can be private' };
  const detail = `nothing can be mounted in a namespace, so --resolvaddr, --resolvconf and --hostname fail (kernel ${kernelRelease})`;
  return { name, state: 'warning', detail };
}

/** Pings without root (icmp(7)): a gateway in user space passes them on through such a socket. */
export function checkPing(facts: Facts): Check | undefined {
  const { gids, pingGroupRange } = facts;
  if (pingGroupRange === undefined) return undefined;
  const name = 'ping';
  const [first, last] = pingGroupRange;
  if (gids.some((gid) => gid >= first && gid <= last)) {
    return { name, state: 'ok', detail: 'can pass a gateway that runs without root' };
  }
  const detail = `cannot pass a gateway that runs without root: net.ipv4.ping_group_range leaves out group ${gids[0]}`;
  return { name, state: 'warning', detail, remedy: settingSysctl(facts, 'net.ipv4.ping_group_range', ALL_GROUPS) };
}
