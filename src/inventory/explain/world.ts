/**
 * All that runs of this user's, as it says of itself: who has which address, who serves which switch, which cables join
 * which networks.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { listenerOwner } from '../../system/listener-owner.ts';
import { isStopped } from '../list-processes.ts';
import type {
  CableStatus,
  FilterStatus,
  LinkStatus,
  NamespaceStatus,
  PortStatus,
  ProcessStatus,
  SwitchStatus,
} from '../status.ts';
import { type Asked, askNetworks, type LinkNetwork } from './ask.ts';
import { type HostFacts, type InterfaceFacts, isSameHost, type SilentFacts, type StrangerFacts } from './facts.ts';

/** A process that runs; one that does not answer has no status. */
export interface RunningProcess extends Asked {
  readonly pid: number;
  readonly status: ProcessStatus | undefined;
}

/** A namespace, and the process that moves its frames. */
export interface Host {
  readonly process: RunningProcess;
  readonly facts: HostFacts;
  readonly status: NamespaceStatus;
}

/** A switch, and the process that serves it. */
export interface Server {
  readonly process: RunningProcess;
  readonly status: SwitchStatus;
}

/** Something that joins networks: a `vde_plug`, a `wirefilter`. */
export interface Cable {
  readonly process: RunningProcess;
  readonly status: CableStatus | FilterStatus;
  /** Of both ends. */
  readonly networks: readonly LinkNetwork[];
}

export class World {
  readonly processes: readonly RunningProcess[];
  readonly hosts: readonly Host[];
  readonly cables: readonly Cable[];

  private constructor(processes: readonly RunningProcess[], hosts: readonly Host[], cables: readonly Cable[]) {
    this.processes = processes;
    this.hosts = hosts;
    this.cables = cables;
  }

  /** Asks all of them, at once, what they are plugged into. */
  static async look(processes: readonly RunningProcess[]): Promise<World> {
    const seen = await Promise.all(processes.map(lookAt));
    return new World(
      processes,
      seen.flatMap(({ hosts }) => hosts),
      seen.flatMap(({ cables }) => cables),
    );
  }

  /** The namespaces that a process runs. */
  hostsOf({ pid }: { readonly pid: number }): readonly Host[] {
    return this.hosts.filter(({ process }) => process.pid === pid);
  }

  /** The same namespace, as it was when this was looked at. */
  hostOf(host: HostFacts): Host | undefined {
    return this.hosts.find(({ facts }) => isSameHost(facts, host));
  }

  /** The process that serves a switch, as far as it can be asked. */
  serverOf(path: string): Server | undefined {
    for (const process of this.processes) {
      for (const item of process.status?.items ?? []) {
        if (item.kind === 'switch' && item.path === path) return { process, status: item };
      }
    }
    return undefined;
  }

  /** Those that do not answer, by name. */
  get silent(): readonly string[] {
    return this.processes.filter(({ status }) => status === undefined).map(({ name }) => name);
  }
}

async function lookAt(process: RunningProcess): Promise<{ readonly hosts: Host[]; readonly cables: Cable[] }> {
  const items = process.status?.items ?? [];
  const isPlugged = items.some(({ kind }) => kind === 'namespace' || kind === 'cable' || kind === 'filter');
  const networks = isPlugged ? await networksOf(process) : [];
  const namespaces = items.filter((item) => item.kind === 'namespace');
  return {
    hosts: namespaces.map((status) => ({
      process: within(process, status),
      status,
      facts: hostFacts(process, status, networks, namespaces.length > 1),
    })),
    cables: items
      .filter((item) => item.kind === 'cable' || item.kind === 'filter')
      .map((status) => ({ process, status, networks: networks.filter(({ namespace }) => namespace === undefined) })),
  };
}

/** Asks about one namespace of a process. */
function within(process: RunningProcess, { pid: namespace }: NamespaceStatus): RunningProcess {
  const { name, pid, status } = process;
  const ask: Asked['ask'] = (operation, fields, timeoutMs) =>
    process.ask(operation, { ...fields, namespace }, timeoutMs);
  return { name, pid, status, ask };
}

/** One that ends just now, or is of another version, is plugged into nothing that we know. */
async function networksOf(process: RunningProcess): Promise<readonly LinkNetwork[]> {
  try {
    return await askNetworks(process);
  } catch {
    return [];
  }
}

/** A namespace as facts; of several of a process, each is called by the first of its interfaces. */
export function hostFacts(
  { name, pid }: RunningProcess,
  { interfaces, pid: namespace }: NamespaceStatus,
  networks: readonly LinkNetwork[],
  isOneOfSeveral: boolean,
): HostFacts {
  const [first] = interfaces;
  const names =
    isOneOfSeveral && first !== undefined ? { name: `${name}:${first.link.id}`, processName: name } : { name };
  // An older version does not say which namespace it is.
  const own = networks.filter((network) => network.namespace === undefined || network.namespace === namespace);
  return {
    ...names,
    pid,
    namespace,
    interfaces: interfaces.map(({ link, ...each }): InterfaceFacts => {
      const network = own.find((candidate) => candidate.link === link.id);
      return {
        name: each.name,
        mac: each.mac,
        mtu: each.mtu,
        isUp: each.isUp,
        hasCarrier: each.hasCarrier,
        addresses: each.addresses,
        ...(network === undefined ? {} : { network }),
        isCut: link.isCut,
        impairment: link.impairment,
        ...(link.id === each.name ? {} : { link: link.id }),
        ...(network?.isArpOff === true ? { isArpOff: true } : {}),
      };
    }),
  };
}

/** What is known of a process that does not answer. */
export function silentFacts({ name, pid }: RunningProcess): SilentFacts {
  return { name, pid, isStopped: isStopped(pid) };
}

/** Who serves a switch, when it is nobody who answers; `undefined` when nobody does. */
export function strangerAt(path: string, processes: readonly RunningProcess[]): StrangerFacts | undefined {
  const owner = listenerOwner(join(path, 'ctl'));
  if (owner === undefined) return undefined;
  const { pid, uid } = owner;
  if (uid !== process.geteuid?.()) return { isOurs: false, isStopped: false, otherUid: uid };
  // A socket that nobody listens on is what somebody left who was killed.
  if (pid === undefined) return undefined;
  const own = processes.find((each) => each.pid === pid);
  const name = own?.name ?? programOf(pid);
  return { pid, isOurs: own !== undefined, isStopped: isStopped(pid), ...(name === undefined ? {} : { name }) };
}

/** What a process runs (proc(5), /proc/PID/comm). */
function programOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** The port of a switch at which a process is; of several, the one at which its station was heard. */
export function portOf({ process, status }: Server, pid: number, mac?: string): PortStatus | undefined {
  const own = status.ports.filter(({ peer }) => (peer === undefined ? process.pid : peer.pid) === pid);
  if (own.length < 2) return own[0];
  const heard = status.stations.filter((station) => station.mac === mac);
  return own.find(({ number }) => heard.some(({ port }) => port === number)) ?? own[0];
}

/** All drops of a link, both ways together. */
export function dropsOf({ received, sent }: LinkStatus): Record<string, number> {
  const sum: Record<string, number> = { ...received.drops };
  for (const [reason, frames] of Object.entries(sent.drops)) sum[reason] = (sum[reason] ?? 0) + frames;
  return sum;
}
