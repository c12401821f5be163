/**
 * A switch of our own: ports for plugs of any kind, one Ethernet.
 *
 * It learns which station is behind which port (MAC address and VLAN), sends what it does not know everywhere, and
 * leaves tags alone. The forwarding is done in native/io/fabric.c; who has a port, and for how long, is decided here.
 */
import { VdensError } from '../errors.ts';
import { FrameBatch } from '../frames/batch.ts';
import { formatMac, parseMac } from '../net/mac.ts';
import { cable } from '../plugs/cable.ts';
import type { PlugCounters } from '../plugs/counters.ts';
import { Fabric, type FabricPort, type PortVlans } from '../plugs/fabric.ts';
import type { Plug } from '../plugs/plug.ts';
import { SwitchPort } from './switch-port.ts';
import { SwitchService, type SwitchServiceOptions } from './switch-service.ts';

/** As many as a TAP gives at once. */
const BATCH_BYTES = 512 * 1024;
const BATCH_FRAMES = 128;

/** Twice what a class of thirty with a few machines each needs; an address that finds no room is flooded. */
export const DEFAULT_TABLE_SIZE = 1024;
/** The most addresses that a switch remembers (LARGEST_SIZE in native/io/forwarding_table.c). */
const MAX_TABLE_SIZE = 2 ** 24;
/** Seconds, as the originals have it. */
export const DEFAULT_EXPIRE_SECONDS = 120;
/** The group of ports that are apart; no port has this number. */
const APART = 0;
/** The most ports that a switch may have. */
export const MAX_PORTS = 4096;

/** What kind of switch. */
export interface SwitchOptions {
  /** What people call it. @defaultValue `switch` */
  readonly label?: string;
  /** Whether every frame goes to every port, as on one shared wire. @defaultValue false */
  readonly hub?: boolean;
  /** How many addresses are remembered, rounded up to a power of two. @defaultValue 1024 */
  readonly tableSize?: number;
  /** Changes which addresses share places in the table. @defaultValue 0 */
  readonly hashSeed?: number;
  /** How long an address that is not heard of is remembered, in seconds. @defaultValue 120 */
  readonly expireSeconds?: number;
  /** The most ports at a time. @defaultValue 4096 */
  readonly maxPorts?: number;
  /** Whether a frame that is for several of those ports that are apart goes to one of them, each in its turn. @defaultValue false */
  readonly takesTurns?: boolean;
}

/** Which port. */
export interface PortOptions {
  /** What people call it. @defaultValue the switch's label and the number */
  readonly label?: string;
  /** The number wished for; the next free one when it is taken. */
  readonly number?: number | undefined;
  /**
   * Whether there may be others with this number, at a port of several endpoints: they exchange no frames, and each gets
   * what is for one of them. All who have the number must say so.
   */
  readonly shares?: boolean;
  /** Whether it exchanges no frames with others of which this is said: all of them have to do with other ports only. */
  readonly isApart?: boolean;
  /** The VLANs in which it is from its first frame on. @defaultValue VLAN 0, without a tag */
  readonly vlans?: PortVlans | undefined;
  /** Who is behind it, for people. */
  readonly description?: string;
  /** Goes on counting there, when this is not the first port for the same purpose. */
  readonly counters?: PlugCounters | undefined;
}

/** What a running switch may be told to do otherwise; what is absent stays. */
export interface SwitchSettings {
  readonly hub?: boolean;
  /** As in {@link SwitchOptions}. Another size than before forgets all stations. */
  readonly tableSize?: number;
  readonly expireSeconds?: number;
  /** How long a station stays where it was heard last although it is heard elsewhere, in seconds. @defaultValue 0 */
  readonly persistSeconds?: number;
  /** Whether tags say which VLAN a frame belongs to (IEEE 802.1Q); otherwise they are left alone. @defaultValue false */
  readonly tagging?: boolean;
  /** The most ports at a time; those that there are stay. */
  readonly maxPorts?: number;
  /**
   * Gets the frames that are for bridges alone (`01:80:c2:00:00:00`) in place of all other ports, at most 124 bytes of
   * each. `null` to have them forwarded again. @defaultValue null
   */
  readonly control?: ((port: SwitchPort, frame: Uint8Array) => void) | null;
}

/** A station, and where it is. */
export interface ForwardingEntry {
  /** Such as `02:00:00:00:00:01`. */
  readonly mac: string;
  /** 0 for frames without a tag. */
  readonly vlan: number;
  /** The port's number. */
  readonly port: number;
  /** Since it was heard of last. */
  readonly ageSeconds: number;
}

export class Switch implements AsyncDisposable {
  readonly label: string;
  readonly #fabric: Fabric;
  readonly #batch = new FrameBatch(new Uint8Array(BATCH_BYTES), BATCH_FRAMES);
  readonly #ports = new Set<SwitchPort>();
  #settings: Required<SwitchSettings>;
  readonly #takesTurns: boolean;
  readonly #services = new Set<SwitchService>();
  #closed = false;

  /** @throws VdensError `ERR_NATIVE` when the process has no descriptor or memory left for it */
  constructor(options: SwitchOptions = {}) {
    this.label = options.label ?? (options.hub === true ? 'hub' : 'switch');
    const { tableSize = DEFAULT_TABLE_SIZE, expireSeconds = DEFAULT_EXPIRE_SECONDS, hashSeed = 0 } = options;
    const hub = options.hub ?? tableSize === 0;
    const maxPorts = options.maxPorts ?? MAX_PORTS;
    this.#settings = { hub, tableSize, expireSeconds, persistSeconds: 0, tagging: false, control: null, maxPorts };
    this.#takesTurns = options.takesTurns ?? false;
    this.#fabric = new Fabric({ tableSize: this.#tableSize, hashSeed, expireMs: milliseconds(expireSeconds) });
    if (this.#takesTurns) this.configure({});
  }

  /**
   * Changes what it does from now on.
   *
   * @throws VdensError `ERR_NATIVE` when there is no memory; nothing has changed then
   */
  configure(settings: SwitchSettings): void {
    const before = this.#settings;
    this.#settings = { ...before, ...settings };
    const { control, expireSeconds, persistSeconds, tagging } = this.#settings;
    try {
      this.#fabric.configure({
        tableSize: this.#tableSize,
        expireMs: milliseconds(expireSeconds),
        persistMs: milliseconds(persistSeconds),
        hasTags: tagging,
        takesTurns: this.#takesTurns,
        control: control === null ? undefined : (port, frame) => this.#handControl(port, frame),
      });
    } catch (error) {
      this.#settings = before;
      throw error;
    }
  }

  /** Whether every frame goes to every port, as on one shared wire. */
  get isHub(): boolean {
    return this.#settings.hub;
  }

  /** The ports, by number. */
  get ports(): readonly SwitchPort[] {
    return [...this.#ports].sort((a, b) => a.number - b.number);
  }

  /** Whether all ports are in use. */
  get isFull(): boolean {
    return this.#ports.size >= this.#settings.maxPorts;
  }

  /** Whether there is a port with this number to be had. */
  isFree(number: number): boolean {
    return number > 0 && number <= this.#settings.maxPorts && !this.#isTaken(number);
  }

  /** How many stations are known. */
  get stationCount(): number {
    return this.#fabric.countEntries();
  }

  /** The stations that are known, by port. */
  get forwardingTable(): readonly ForwardingEntry[] {
    const numbers = new Map([...this.#ports].map((port) => [port.fabricPort, port.number]));
    return this.#fabric
      .entries()
      .map(({ address, vlan, port, ageSeconds }) => ({
        mac: formatMac(address),
        vlan,
        port: numbers.get(port) ?? 0,
        ageSeconds,
      }))
      .sort((a, b) => a.port - b.port || a.vlan - b.vlan || (a.mac < b.mac ? -1 : 1));
  }

  /** Where a station is, if it is known. */
  findStation(mac: string, vlan: number): ForwardingEntry | undefined {
    const wanted = parseMac(mac);
    const found = this.#fabric.entries().find((entry) => {
      return entry.vlan === vlan && entry.address.every((byte, index) => byte === wanted[index]);
    });
    const port = [...this.#ports].find(({ fabricPort }) => fabricPort === found?.port);
    if (found === undefined || port === undefined) return undefined;
    return { mac: formatMac(found.address), vlan, port: port.number, ageSeconds: found.ageSeconds };
  }

  /**
   * A new port, as a plug: to be cabled to another plug, given to a program, or used directly.
   *
   * @throws VdensError `ERR_CLOSED`; `ERR_SWITCH` when all ports are in use
   */
  port(options: PortOptions = {}): SwitchPort {
    if (this.#closed) throw new VdensError('ERR_CLOSED', `${this.label}: the switch is closed`);
    const { shares = false } = options;
    const number = shares && options.number !== undefined ? options.number : this.#freeNumber(options.number);
    const port: SwitchPort = new SwitchPort({
      number,
      group: shares ? number : options.isApart === true ? APART : undefined,
      vlans: options.vlans,
      label: options.label ?? `${this.label} port ${number}`,
      fabric: this.#fabric,
      batch: this.#batch,
      counters: options.counters,
      closed: () => this.#ports.delete(port),
    });
    port.description = options.description ?? '';
    this.#ports.add(port);
    return port;
  }

  /** Plugs something in, from now on, until the port is closed. */
  attach(plug: Plug, options: PortOptions = {}): SwitchPort {
    const port = this.port({ description: plug.label, ...options });
    cable(plug, port);
    return port;
  }

  /**
   * Serves it in a directory: clients of any kind join it there by the path, until the service or the switch is closed.
   *
   * @param path of the directory, which is made; its parent must exist
   * @throws VdensError `ERR_NETWORK_OPEN` when somebody else serves there, or it is no place for a switch
   */
  async serve(path: string, options: SwitchServiceOptions = {}): Promise<SwitchService> {
    const service = await SwitchService.start(this, path, path, options);
    if (service === undefined) {
      const message = `${path}: somebody else serves a switch there. Join it with vde://${path}, or name another directory`;
      throw new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno: 'EADDRINUSE' });
    }
    this.#services.add(service);
    return service;
  }

  /** Forgets stations: those heard at a port, or all; in a VLAN, or in all. */
  forget(port?: SwitchPort, vlan?: number): void {
    this.#fabric.forget(port?.fabricPort, vlan);
  }

  /** Makes the clock by which stations are forgotten go ahead. */
  advanceClock(seconds: number): void {
    this.#fabric.advanceClock(seconds * 1000);
  }

  /** Lets go of everything; what was plugged in goes `down`, and stays its owner's to close. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const served = [...this.#services].map((service) => service.close());
    for (const port of [...this.#ports]) port.lose('the switch was closed');
    this.#ports.clear();
    this.#fabric.close();
    await Promise.all(served);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #tableSize(): number {
    return this.#settings.hub ? 0 : Math.min(this.#settings.tableSize, MAX_TABLE_SIZE);
  }

  #handControl(from: FabricPort, frame: Uint8Array): void {
    const port = [...this.#ports].find(({ fabricPort }) => fabricPort === from);
    if (port !== undefined) this.#settings.control?.(port, frame);
  }

  #isTaken(number: number): boolean {
    for (const port of this.#ports) if (port.number === number) return true;
    return false;
  }

  #freeNumber(wanted: number | undefined): number {
    if (wanted !== undefined && this.isFree(wanted)) return wanted;
    const { maxPorts } = this.#settings;
    const taken = new Set([...this.#ports].map(({ number }) => number));
    for (let number = 1; number <= maxPorts; number++) if (!taken.has(number)) return number;
    const message = `${this.label}: all ${maxPorts} ports are in use. Close one, or allow more with maxPorts`;
    throw new VdensError('ERR_SWITCH', message, { value: String(maxPorts) });
  }
}

/** What C counts in: 31 bits. */
function milliseconds(seconds: number): number {
  return Math.min(seconds * 1000, 2 ** 31 - 1);
}

/** Makes a switch. */
export function createSwitch(options: SwitchOptions = {}): Switch {
  return new Switch(options);
}
