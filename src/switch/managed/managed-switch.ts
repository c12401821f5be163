/**
 * The managed switch; managed-switch-api.ts says what it offers.
 *
 * Frames move in a {@link Switch}, whose ports are the endpoints here. What is kept here is who they are, in which VLANs
 * their ports are, and what is to be told of that.
 */
import { randomBytes } from 'node:crypto';
import { VdensError } from '../../errors.ts';
import { formatMac, MAC_LENGTH, parseMac } from '../../net/mac.ts';
import { cable } from '../../plugs/cable.ts';
import type { PortVlans } from '../../plugs/fabric.ts';
import type { Plug } from '../../plugs/plug.ts';
import type { PeerCredentials } from '../listener.ts';
import type { PortLease } from '../port-policy.ts';
import { DEFAULT_MODE } from '../rendezvous.ts';
import { DEFAULT_PRIORITY, MAX_PRIORITY } from '../spanning-tree/spanning-tree.ts';
import { Switch } from '../switch.ts';
import { SwitchService, type SwitchServiceOptions } from '../switch-service.ts';
import { DirectoryPorts, type Newcomer, type PortGiver } from './directory-ports.ts';
import { EndpointIds } from './endpoint-ids.ts';
import { EventSource } from './event-source.ts';
import {
  type HashSettings,
  type ManagedPort,
  type ManagedSwitchApi,
  type ManagedSwitchOptions,
  NO_VLAN,
  type PortOwner,
  type Station,
  type SwitchEvent,
  type TreeStatus,
  type Vlan,
} from './managed-switch-api.ts';
import type { EndpointRecord, PortRecord } from './port-record.ts';
import { DEFAULT_PORTS, PortTable } from './port-table.ts';
import { refusal } from './refusal.ts';
import { capacityOf, changeHash, DEFAULT_HASH, stationOf, stationsOf } from './station-table.ts';
import { StationWatch } from './station-watch.ts';
import { TreeControl } from './tree-control.ts';
import { VlanTable } from './vlan-table.ts';

export * from './managed-switch-api.ts';

const DEFAULT_MANAGEMENT_MODE = 0o600;
/** What the MAC addresses of switches begin with that were not told theirs. */
const MAC_PREFIX: readonly number[] = [0x00, 0xff];

/** How to serve one in a directory. */
export interface ManagedServiceOptions extends SwitchServiceOptions {
  /** Permission bits of the data sockets of port 0. @defaultValue 0o600 */
  readonly managementMode?: number | undefined;
  /** Their group, as a number. */
  readonly managementGroup?: number | undefined;
}

/** Where an endpoint is until it is settled in the VLANs of its port: no frame passes. */
const UNSETTLED: PortVlans = {
  untagged: undefined,
  tagged: [],
  closed: Array.from({ length: NO_VLAN + 1 }, (_, id) => id),
};

export class ManagedSwitch implements ManagedSwitchApi, AsyncDisposable {
  readonly label: string;
  readonly mac: string;
  readonly priority: number;
  readonly #switch: Switch;
  readonly #ports: PortTable;
  readonly #vlans = new VlanTable();
  readonly #ids = new EndpointIds();
  readonly #events = new EventSource<SwitchEvent>();
  readonly #stationWatch: StationWatch;
  readonly #tree: TreeControl;
  readonly #services = new Set<SwitchService>();
  #hash = DEFAULT_HASH;
  /** Whether tags matter to what forwards. */
  #isTagging = false;
  #closing: Promise<void> | undefined;

  /**
   * @throws VdensError `ERR_SWITCH` for numbers that cannot be, `ERR_ADDRESS` for a MAC address; `ERR_NATIVE` when the
   * process has no descriptor or memory left for it
   */
  constructor(options: ManagedSwitchOptions) {
    const { label, priority = DEFAULT_PRIORITY, numPorts = DEFAULT_PORTS, hashSize = DEFAULT_HASH.size } = options;
    this.label = label;
    this.mac = options.mac === undefined ? randomMac() : formatMac(parseMac(options.mac));
    this.priority = checkPriority(priority);
    this.#hash = changeHash(DEFAULT_HASH, { size: hashSize });
    this.#ports = new PortTable(numPorts, ({ number }) => this.#events.emit({ kind: 'port-added', port: number }));
    this.#switch = new Switch({ label, hub: options.hub ?? false, tableSize: capacityOf(this.#hash.size) });
    this.#applyHash();
    this.#stationWatch = new StationWatch(
      () => this.#switch.forwardingTable,
      (event) => this.#events.emit(event),
    );
    this.#tree = new TreeControl({
      segment: this.#switch,
      mac: this.mac,
      priority: this.priority,
      isOn: options.spanningTree ?? false,
      port: (number) => this.#ports.find(number),
      vlanOf: (number, tag) => this.#vlanOf(number, tag),
      isTagged: (vlan, port) => this.#vlans.isTagged(vlan, port),
      hasVlans: () => this.#hasVlans,
      changed: (port) => this.#applyVlans(port),
      event: (event) => this.#events.emit(event),
    });
    this.#tree.addVlan(0);
  }

  get numPorts(): number {
    return this.#ports.count;
  }

  setNumPorts(count: number): void {
    this.#ports.count = count;
  }

  get isHub(): boolean {
    return this.#switch.isHub;
  }

  setHub(hub: boolean): void {
    this.#switch.configure({ hub });
  }

  get ports(): readonly ManagedPort[] {
    return this.#ports.all;
  }

  createPort(number?: number): number {
    return this.#ports.create(number).number;
  }

  removePort(number: number): void {
    const port = this.#ports.get(number);
    this.#ports.remove(number);
    this.#vlans.forget(port);
    this.#retag();
  }

  setAllocatable(number: number, isAllocatable: boolean): void {
    this.#ports.get(number).isAllocatable = isAllocatable;
  }

  setPortUser(number: number, user: PortOwner): void {
    this.#ports.get(number).user = ownerFrom(user);
  }

  setPortGroup(number: number, group: PortOwner): void {
    this.#ports.get(number).group = ownerFrom(group);
  }

  setPortVlan(number: number, vlan: number): void {
    const port = this.#ports.get(number);
    this.#rearrange(port, [port.untaggedVlan, vlan], () => this.#vlans.setUntagged(vlan, port));
  }

  closeEndpoint(number: number, id: number): void {
    const endpoint = this.#ports.get(number).find(id);
    if (endpoint === undefined) {
      throw refusal('ENXIO', `there is no endpoint ${id} at port ${number}`, 'See which there are: port/print');
    }
    endpoint.leave();
  }

  resetCounters(number?: number): void {
    if (number === undefined) {
      for (const port of this.#ports.all) port.resetCounters();
      return;
    }
    this.#ports.check(number);
    this.#ports.find(number)?.resetCounters();
  }

  attach(plug: Plug, { module, description }: { readonly module: string; readonly description: string }): number {
    this.#checkOpen();
    const user = process.geteuid?.() ?? 0;
    const self = { pid: process.pid, uid: user, gid: process.getegid?.() ?? 0, groups: process.getgroups?.() ?? [] };
    const number = this.#choose(undefined, self);
    if (typeof number === 'string') throw refusal('ENOSPC', `${this.label}: ${number}`, 'Allow more: port/setnumports');
    let isGone = false;
    const leave = (): void => {
      if (isGone) return;
      isGone = true;
      void lease.port.close();
      void plug.close();
      lease.ended();
    };
    const lease = this.#join(number, { module, description, user }, leave);
    try {
      cable(plug, lease.port, { down: leave });
    } catch (error) {
      leave();
      throw error;
    }
    return number;
  }

  get vlans(): readonly Vlan[] {
    return this.#vlans.numbers.map((number) => ({
      number,
      ports: this.#ports.all
        .filter((port) => this.#vlans.isIn(number, port))
        .map((port) => ({
          number: port.number,
          isTagged: this.#vlans.isTagged(number, port),
          isActive: port.isActive,
          status: this.#tree.statusOf(number, port),
        })),
    }));
  }

  createVlan(vlan: number): void {
    this.#vlans.create(vlan);
    this.#switch.forget(undefined, vlan);
    this.#tree.addVlan(vlan);
    this.#retag();
  }

  removeVlan(vlan: number): void {
    this.#vlans.remove(vlan, this.#ports.all);
    this.#tree.removeVlan(vlan);
    this.#switch.forget(undefined, vlan);
    this.#retag();
  }

  addToVlan(vlan: number, port: number): void {
    this.#vlans.check(vlan);
    const record = this.#ports.get(port);
    this.#rearrange(record, [vlan], () => this.#vlans.add(vlan, record));
  }

  removeFromVlan(vlan: number, port: number): void {
    this.#vlans.check(vlan);
    const record = this.#ports.get(port);
    this.#rearrange(record, [vlan], () => this.#vlans.delete(vlan, record));
  }

  get hash(): HashSettings {
    return this.#hash;
  }

  setHash(settings: Partial<HashSettings>): void {
    this.#hash = changeHash(this.#hash, settings);
    this.#applyHash();
    if (settings.size !== undefined) this.#switch.forget();
  }

  get stations(): readonly Station[] {
    return stationsOf(this.#switch.forwardingTable, this.#hash.size);
  }

  findStation(mac: string, vlan: number): Station | undefined {
    const found = this.#switch.findStation(mac, vlan);
    return found === undefined ? undefined : stationOf(found, this.#hash.size);
  }

  get hasSpanningTree(): boolean {
    return this.#tree.isOn;
  }

  setSpanningTree(isOn: boolean): void {
    this.#tree.setOn(isOn);
  }

  setEdge(vlan: number, port: number, isEdge: boolean): void {
    this.#checkPlace(vlan, port);
    this.#tree.setEdge(vlan, port, isEdge);
  }

  setBonus(vlan: number, port: number, cost: number): void {
    this.#checkPlace(vlan, port);
    this.#tree.setBonus(vlan, port, cost);
  }

  treeStatus(vlan?: number): readonly TreeStatus[] {
    if (vlan !== undefined) this.#vlans.check(vlan);
    const asked = vlan === undefined ? this.#vlans.numbers : [vlan];
    return asked.map((number) => this.#tree.status(number));
  }

  listen(
    listener: (event: SwitchEvent) => void,
    { stations = true }: { readonly stations?: boolean } = {},
  ): () => void {
    const endListening = this.#events.listen(listener);
    const endWatching = stations ? this.#stationWatch.begin() : () => undefined;
    return () => {
      endListening();
      endWatching();
    };
  }

  /**
   * Serves it in a directory: clients of any kind get their ports there, until the service or the switch is closed. Those
   * who may join may write the directory as well, as in that of `vde_switch`; one who removes the socket there does not
   * end what the others have.
   *
   * @param path of the directory, which is made; its parent must exist
   * @throws VdensError `ERR_NETWORK_OPEN` when somebody else serves there, or it is no place for a switch
   */
  async serve(path: string, options: ManagedServiceOptions = {}): Promise<SwitchService> {
    this.#checkOpen();
    const giver: PortGiver = {
      choose: (wanted, visitor) => this.#choose(wanted, visitor),
      join: (number, newcomer, leave) => this.#join(number, newcomer, leave),
    };
    const ports = new DirectoryPorts({ segment: this.#switch, managed: this }, giver, {
      mode: options.mode ?? DEFAULT_MODE,
      managementMode: options.managementMode ?? DEFAULT_MANAGEMENT_MODE,
      managementGroup: options.managementGroup,
    });
    const service = await SwitchService.start(ports, path, path, { restored: () => undefined, ...options });
    if (service === undefined) {
      const message = `${path}: somebody else serves a switch there. Join it with vde://${path}, or name another directory`;
      throw new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno: 'EADDRINUSE' });
    }
    this.#services.add(service);
    if (this.#closing !== undefined) await service.close();
    this.#checkOpen();
    return service;
  }

  /** Lets go of everything, and of all that were at its ports. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#tree.close();
    const served = [...this.#services].map((service) => service.close());
    for (const port of this.#ports.all) for (const { leave } of port.endpoints) leave();
    await Promise.all(served);
    this.#stationWatch.close();
    await this.#switch.close();
  }

  /** @throws VdensError `ERR_CLOSED` */
  #checkOpen(): void {
    if (this.#closing !== undefined) throw new VdensError('ERR_CLOSED', `${this.label}: the switch is closed`);
  }

  #choose(wanted: number | undefined, visitor: PeerCredentials): number | string {
    if (this.#closing !== undefined) return 'the switch is closed';
    if (this.#ids.isExhausted) return 'there are too many at its ports';
    return this.#ports.choose(wanted, visitor);
  }

  #join(number: number, { module, description, user }: Newcomer, leave: () => void): PortLease {
    const id = this.#ids.take();
    let switchPort: EndpointRecord['switchPort'];
    try {
      switchPort = this.#switch.port({ number, shares: true, description, vlans: UNSETTLED });
    } catch (error) {
      this.#ids.give(id);
      throw error;
    }
    const port = this.#ports.take(number);
    port.join({ id, module, description, switchPort, leave }, user);
    this.#events.emit({ kind: 'endpoint-added', port: number, endpoint: id });
    this.#events.emit({ kind: 'description', port: number, endpoint: id, text: description });
    this.#settle(port);
    return { port: switchPort, ended: () => this.#part(port, id) };
  }

  #part(port: PortRecord, id: number): void {
    if (!port.part(id)) return;
    this.#ids.give(id);
    this.#stationWatch.compare();
    this.#events.emit({ kind: 'endpoint-removed', port: port.number, endpoint: id });
    if (!port.isActive) this.#events.emit({ kind: 'port-removed', port: port.number });
    this.#settle(port);
  }

  /**
   * Changes in which VLANs a port is. What was heard there in those that it left is elsewhere now.
   *
   * @param vlans all that this may be about
   */
  #rearrange(port: PortRecord, vlans: readonly number[], change: () => void): void {
    const before = vlans.filter((vlan) => this.#vlans.isIn(vlan, port));
    change();
    this.#retag();
    for (const vlan of vlans) {
      const isIn = this.#vlans.isIn(vlan, port);
      if (vlan === NO_VLAN || isIn === before.includes(vlan)) continue;
      if (!isIn) for (const { switchPort } of port.endpoints) this.#switch.forget(switchPort, vlan);
      if (port.isActive) this.#tree.placeIn(port, vlan, isIn);
    }
    this.#applyVlans(port);
  }

  /** Brings what forwards, and the spanning tree, up to date with a port. */
  #settle(port: PortRecord): void {
    this.#tree.place(port, port.isActive ? this.#vlans.of(port) : new Set());
    this.#applyVlans(port);
  }

  #applyVlans(port: PortRecord): void {
    const { untaggedVlan } = port;
    const untagged = untaggedVlan === NO_VLAN ? undefined : untaggedVlan;
    const tagged = this.#vlans.taggedOf(port);
    const closed = this.#tree.closedAt(port);
    for (const { switchPort } of port.endpoints) switchPort.setVlans({ untagged, tagged, closed });
  }

  /** Whether somebody has set VLANs up. */
  get #hasVlans(): boolean {
    return this.#vlans.hasOthers || this.#ports.all.some(({ untaggedVlan }) => untaggedVlan !== 0);
  }

  /**
   * Tags are left alone until somebody sets VLANs up. Before, they only told stations apart, and where one was heard
   * need not be in the VLAN: all are forgotten.
   */
  #retag(): void {
    const tagging = this.#hasVlans;
    if (tagging === this.#isTagging) return;
    this.#switch.configure({ tagging });
    this.#isTagging = tagging;
    this.#switch.forget();
  }

  #applyHash(): void {
    const { size, expire, minPersistence } = this.#hash;
    this.#switch.configure({
      tableSize: capacityOf(size),
      expireSeconds: expire,
      persistSeconds: minPersistence,
    });
  }

  /** The VLAN of a frame that came in at a port with a tag, or without one; `undefined` when the port is not in it. */
  #vlanOf(number: number, tag: number | undefined): number | undefined {
    const port = this.#ports.find(number);
    if (port === undefined) return undefined;
    const isUntagged = tag === undefined || (tag === 0 && !this.#vlans.isTagged(0, port));
    if (isUntagged) return port.untaggedVlan === NO_VLAN ? undefined : port.untaggedVlan;
    return this.#vlans.isIn(tag, port) ? tag : undefined;
  }

  /** A port that is not there yet, or not yet in the VLAN, can be spoken of: it may come later. */
  #checkPlace(vlan: number, port: number): void {
    this.#vlans.check(vlan);
    this.#ports.check(port);
  }
}

function randomMac(): string {
  return formatMac(Uint8Array.from([...MAC_PREFIX, ...randomBytes(MAC_LENGTH - MAC_PREFIX.length)]));
}

function checkPriority(priority: number): number {
  if (Number.isInteger(priority) && priority >= 0 && priority <= MAX_PRIORITY) return priority;
  throw refusal('EINVAL', `${priority} is no priority of a bridge`, `Name a number from 0 to ${MAX_PRIORITY}`);
}

/** Nobody in particular is anybody. */
function ownerFrom(owner: PortOwner): PortOwner {
  return owner === 'any' ? 'none' : owner;
}
