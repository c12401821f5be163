/**
 * The Debian packages that the tests use when they are there: which command shows that one is installed,
 * and which tests are left out without it.
 *
 * Nothing here is needed to build or to run the program itself.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** One row per package: the command to look for, and what needs it. */
export const packages = [
  { package: 'vdens', command: 'vdens', neededBy: "interoperability with Debian's vdens" },
  { package: 'vdeplug', command: 'vde_plug', neededBy: 'interoperability with vde_plug and dpipe' },
  { package: 'vde-switch', command: 'vde_switch', neededBy: 'every test on the original switch' },
  { package: 'vde-wirefilter', command: 'wirefilter', neededBy: 'interoperability with wirefilter' },
  { package: 'vde2', command: 'unixterm', neededBy: 'the console of the original switch' },
  { package: 'cado', command: 'caprint', neededBy: 'capabilities of the command, as caprint prints them' },
  { package: 'iperf3', command: 'iperf3', neededBy: 'bulk transfer' },
  { package: 'iproute2', command: 'ip', neededBy: 'every test that sets up an interface from inside' },
  { package: 'iputils-ping', command: 'ping', neededBy: 'every test that pings' },
  { package: 'procps', command: 'ps', neededBy: 'processes as a terminal user sees them' },
  { package: 'tmux', command: 'tmux', neededBy: 'terminal sessions: job control, signals, resizing' },
  { package: 'strace', command: 'strace', neededBy: 'system calls per frame, and failures injected into them' },
  { package: 'ethtool', command: 'ethtool', neededBy: 'offload features of an interface' },
  { package: 'bind9-dnsutils', command: 'dig', neededBy: 'DNS through a gateway' },
  { package: 'traceroute', command: 'traceroute', neededBy: 'the way through a gateway, hop by hop' },
  { package: 'tcpdump', command: 'tcpdump', neededBy: 'frames as an independent reader sees them' },
  { package: 'tshark', command: 'tshark', neededBy: 'captures as Wireshark reads them' },
  {
    package: 'busybox',
    command: 'busybox',
    neededBy: 'addresses from a DHCP server (udhcpd), or from a gateway (udhcpc); files by TFTP',
  },
  {
    package: 'dnsmasq-base',
    command: 'dnsmasq',
    neededBy: 'addresses from a server of DHCP, DHCPv6 and router advertisements',
  },
  { package: 'isc-dhcp-client', command: 'dhclient', neededBy: 'addresses from a gateway, by DHCP and DHCPv6' },
  { package: 'dhcpcd-base', command: 'dhcpcd', neededBy: 'addresses from a gateway, by all means at once' },
  { package: 'zsh', command: 'zsh', neededBy: 'completion of our commands in zsh' },
  { package: 'fish', command: 'fish', neededBy: 'completion of our commands in fish' },
  { package: 'mandoc', command: 'mandoc', neededBy: 'checks of the manual pages' },
];

/** `PATH`, with the folders that an ordinary user's often lacks. */
export function searchPath(path = process.env.PATH ?? '') {
  const folders = path.split(delimiter).filter(Boolean);
  for (const folder of ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin']) {
    if (!folders.includes(folder)) folders.push(folder);
  }
  return folders.join(delimiter);
}

/** Whether `command` is an executable file in one of the folders of {@link searchPath}. */
export function isInstalled(command) {
  return searchPath()
    .split(delimiter)
    .some((folder) => {
      try {
        accessSync(join(folder, command), constants.X_OK);
        return statSync(join(folder, command)).isFile();
      } catch {
        return false; // Not in this folder.
      }
    });
}

/** The rows whose command is not there. */
export function missingPackages() {
  return packages.filter((row) => !isInstalled(row.command));
}

/**
 * Installs what is missing, when we may (root, on a Debian), and says what stays missing and what to type.
 * Never fails: a missing package only leaves tests out.
 */
export function providePackages({ mayInstall, say }) {
  const wanted = missingPackages();
  if (wanted.length > 0 && mayInstall && process.getuid() === 0) install(wanted, say);
  const missing = missingPackages();
  if (missing.length === 0) return;
  say('These packages are not installed, and the tests that need them are left out:');
  for (const row of missing) say(`  ${row.package.padEnd(16)} ${row.neededBy}`);
  const sudo = process.getuid() === 0 ? '' : 'sudo ';
  say(`To have them: ${sudo}apt-get install ${missing.map((row) => row.package).join(' ')}`);
}

function install(wanted, say) {
  if (!isInstalled('apt-get')) return say('There is no apt-get here, so no package is installed.');
  const names = wanted.map((row) => row.package);
  say(`Installing ${names.join(' ')}`);
  const updated = aptGet('update');
  if (updated !== undefined) say(`apt-get update failed: ${updated}`);
  const installed = aptGet('install', ...names);
  if (installed === undefined) return;
  // One unknown or broken package makes apt-get install none of them: then each for itself.
  for (const name of names) {
    const failure = aptGet('install', name);
    if (failure !== undefined) say(`apt-get install ${name} failed: ${failure}`);
  }
}

/** Runs apt-get without questions; answers the last line it complained with, or undefined when all went well. */
function aptGet(verb, ...names) {
  const flags = ['-qq', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Dpkg::Use-Pty=0'];
  if (verb === 'install') flags.push('--yes', '--no-install-recommends');
  const run = spawnSync('apt-get', [verb, ...flags, ...names], {
    encoding: 'utf8',
    env: { ...process.env, PATH: searchPath(), DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 600_000,
  });
  if (run.status === 0) return undefined;
  const complaint = (run.stderr ?? '').trim().split('\n').at(-1);
  return run.error?.message ?? (complaint || `exit status ${run.status}`);
}
