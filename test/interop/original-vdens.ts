/**
 * Command lines for a `vdens`, the original or ours, whose interface has an address.
 *
 * The original knows no `--address`, so the interface is set up from inside with ip(8), and the same way for ours
 * wherever the two are compared.
 */
import { type Owner, spawnBackground } from './harness.ts';

/** What runs in a namespace on which network. */
export interface NamespaceCommand {
  /** The `vdens` to use: `original('vdens')` or `ours('vdens')`. */
  readonly vdens: string;
  /** Options of `vdens`, in front of the network. @defaultValue none */
  readonly options?: readonly string[];
  /** The network, such as the directory of a switch or a VNL. */
  readonly network: string;
  /** Address with prefix length for vde0, such as `10.0.0.1/24`. */
  readonly address: string;
  /** The command and its arguments. It prints `ready` first, unless {@link isQuiet}. */
  readonly command: readonly string[];
  /** Do not print `ready` when the interface is up. @defaultValue false */
  readonly isQuiet?: boolean;
  /** Further steps of shell, before the interface comes up. @defaultValue none */
  readonly setUp?: readonly string[];
}

/** The arguments that run the command in a namespace of its own, with lo and vde0 up and vde0 addressed. */
export function inNamespace(what: NamespaceCommand): string[] {
  const steps = [
    'set -e',
    'ip link set lo up',
    ...(what.setUp ?? []),
    'ip link set vde0 up',
    'ip addr add "$0" dev vde0 nodad',
  ];
  if (what.isQuiet !== true) steps.push('echo ready');
  const script = [...steps, 'exec "$@"'].join('; ');
  return [what.vdens, ...(what.options ?? []), what.network, 'sh', '-c', script, what.address, ...what.command];
}

/**
 * What a ping in a namespace of its own prints, to its end.
 *
 * The original misses that its command ended when a frame comes at that moment, and stays, so nobody waits for it.
 */
export async function pingIn(owner: Owner, what: NamespaceCommand): Promise<string> {
  const ping = await spawnBackground(owner, inNamespace({ ...what, isQuiet: true }));
  await ping.waitForOutput(/ packets transmitted, [^\n]*\n/);
  return ping.output();
}
