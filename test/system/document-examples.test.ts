/**
 * The examples of the documents that people come with (the manual of vdens and its introductions), typed as they stand,
 * at the terminals of two test hosts.
 *
 * ```
 *  terminal on host 1 ─┐            each host has a /run of its own, with the switches vde.ctl, sw1 and sw2,
 *  terminal on host 2 ─┴─ the wire  on each of which somebody is who answers: 10.0.N.9
 * ```
 */
import { join } from 'node:path';
import { test } from 'node:test';
import { Lab, type LabHost } from '../fixtures/lab.ts';
import { openTerminal, type Terminal } from '../fixtures/terminal.ts';
import { checkout, makeTemporaryDirectory, type Owner, requireCommands } from '../interop/harness.ts';

const TIMEOUT = { timeout: 120_000 };
const COMMAND_MS = 20_000;
const PATH = `${join(checkout, 'bin')}:${process.env['PATH']}`;

/** A terminal at which one line is typed after the other. */
class Typist {
  readonly #terminal: Terminal;
  #lines = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Opens a terminal on a host. */
  static async sitDown(t: Owner, host: LabHost): Promise<Typist> {
    const home = makeTemporaryDirectory(t);
    const terminal = await openTerminal(t, { PATH, HOME: home });
    const typist = new Typist(terminal);
    await terminal.type(host.command(['env', 'SHELL=/bin/bash', 'bash', '--norc', '--noprofile']).join(' '));
    await typist.settle();
    return typist;
  }

  /** Waits until a shell takes what is typed. */
  async settle(): Promise<void> {
    const mark = `settled-${++this.#lines}`;
    // The mark is only complete in what the shell prints.
    await this.#terminal.type(`echo settled''-${this.#lines}`);
    await this.#terminal.waitFor(new RegExp(`^${mark}$`, 'm'), COMMAND_MS);
  }

  /** Types a line as it stands, and waits for what it opens or does; answers what it printed. */
  async type(line: string): Promise<string> {
    const before = (await this.#terminal.screen()).trimEnd().length;
    await this.#terminal.type(line);
    await this.settle();
    return (await this.#terminal.screen()).slice(before);
  }

  /** Types a line that has to print something. */
  async see(line: string, pattern: RegExp): Promise<void> {
    const printed = await this.type(line);
    if (!pattern.test(printed)) throw new Error(`${line} printed no ${pattern}:\n${printed}`);
  }

  /** Types a command that has to succeed, if need be after some tries. */
  async do(line: string): Promise<void> {
    const mark = `${++this.#lines}`;
    await this.#terminal.type(`for i in $(seq 100); do ${line} && break; sleep 0.1; done && echo did''-${mark}`);
    await this.#terminal.waitFor(new RegExp(`^did-${mark}$`, 'm'), COMMAND_MS);
  }
}

/** A host whose /run is its own, with three switches and somebody on each. */
async function furnish(host: LabHost): Promise<void> {
  await host.must('mount -t tmpfs tmpfs /run');
  const switches = { 'vde.ctl': 1, sw1: 2, sw2: 3 };
  for (const [name, net] of Object.entries(switches)) {
    await host.spawn([join(checkout, 'bin', 'vde'), 'switch', '-q', `/run/${name}`]);
    const listening = `until [ -S /run/${name}/ctl ]; do sleep 0.05; done`;
    await host.must(listening);
    const vdens = join(checkout, 'bin', 'vdens');
    const command = ['sh', '-c', 'echo here; exec sleep 120'];
    const answering = await host.spawn([vdens, '--address', `10.0.${net}.9/24`, `/run/${name}`, ...command]);
    await answering.waitForOutput(/^here$/m);
  }
}

async function makeHosts(t: Owner): Promise<[LabHost, LabHost]> {
  const lab = await Lab.start(t, { hosts: 2 });
  const [one, two] = [lab.host(1), lab.host(2)];
  await furnish(one);
  return [one, two];
}

test(
  'the documents: a private network, its capabilities, and interfaces plugged in from inside',
  TIMEOUT,
  async (t) => {
    if (!requireCommands(t, 'tmux', 'bash', 'ip', 'ping', 'nsenter', 'unshare', 'setpriv')) return;
    const [host] = await makeHosts(t);
    const user = await Typist.sitDown(t, host);
    await user.type('vdens');
    await user.see('ip -brief link', /lo\s+DOWN/m);
    await user.see('caprint', /cap_net_bind_service\n\s*cap_net_broadcast\n\s*cap_net_admin\n\s*cap_net_raw$/m);

    await user.type('vde_plug -d vde:// tap://vde0');
    await user.do('ip link set vde0 up && ip addr replace 10.0.1.1/24 dev vde0');
    await user.do('ping -c 1 -W 2 10.0.1.9');

    await user.type('vde_plug2tap tap0 &');
    await user.do('ip link set tap0 up && ip addr replace 10.0.1.2/32 dev tap0');
    await user.do('ping -c 1 -W 2 -I tap0 10.0.1.9');

    await user.type('cadrop');
    await user.see('caprint; echo "has nothing"', /^has nothing$/m);
    await user.see('caprint', /caprint\s+.*echo settled/s);
    await user.see('ip link set vde0 down', /Operation not permitted/);
    await user.type('exit');
    await user.see('caprint', /cap_net_admin$/m);
    await user.type('exit');
    await user.see('ip -brief link', /eth0@?/m);
  },
);

test('the documents: a LAN across hosts, one command on it, and several interfaces', TIMEOUT, async (t) => {
  if (!requireCommands(t, 'tmux', 'bash', 'ip', 'ping', 'nsenter', 'unshare')) return;
  const [one, two] = await makeHosts(t);
  const [user, other] = [await Typist.sitDown(t, one), await Typist.sitDown(t, two)];

  await other.type('vdens vxvde://');
  await other.do('ip link set vde0 up && ip addr add 10.0.7.2/24 dev vde0');
  await user.see('vdens vxvde:// ip -brief link', /vde0 /m);

  await user.type('vdens -m vde:// vxvde://');
  await user.do('ip link set vde0 up && ip addr add 10.0.1.1/24 dev vde0');
  await user.do('ip link set vde1 up && ip addr add 10.0.7.1/24 dev vde1');
  await user.do('ping -c 1 -W 2 10.0.1.9');
  await user.do('ping -c 1 -W 2 10.0.7.2');
  await user.type('exit');

  await user.type('vdens -m /var/run/sw1 /var/run/sw2');
  await user.do('ip link set vde0 up && ip addr add 10.0.2.1/24 dev vde0');
  await user.do('ip link set vde1 up && ip addr add 10.0.3.1/24 dev vde1');
  await user.do('ping -c 1 -W 2 10.0.2.9');
  await user.do('ping -c 1 -W 2 10.0.3.9');
  await user.type('exit');
  await user.see('ip -brief link', /eth0@?/m);
});
