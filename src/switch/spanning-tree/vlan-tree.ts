/**
 * The spanning tree of one VLAN: rapid spanning tree (IEEE 802.1D-2004, clause 17) in the dialect of `vde_switch`.
 *
 * Each bridge offers its best way to the root at all of its ports, and takes the best that it is offered:
 *
 * - the port where that came in is the *root port*, and forwards;
 * - a port where we offer more than anybody else is *designated*. It forwards while nobody was heard there; once a
 *   bridge was, only after that one agreed, or has not answered for OPEN_MS;
 * - a port where somebody else offers more is *alternate*, and does not forward. So is one of two ports of ours that
 *   hear each other, and one that hears itself.
 *
 * Who gets a better offer closes its other ports to bridges before it agrees, so no circle is closed on the way.
 *
 * The dialect, as heard from the originals: a port that forwards says so from its first BPDU, which is sent when
 * somebody comes; BPDUs are repeated every 4 s; whatever a bridge's root port hears from there is true; whoever hears
 * of a worse root answers at once with its own; a root port answers each change with its agreement (`0x74`); a bridge
 * that proposes says `0x0a`, and forwards once it hears from a root port (`0x04` in the flags). An original compares no
 * further: where it hears of the same root from anything but a root port, it does not forward. So a link that is not
 * part of the tree is closed at its end, whatever the other one does.
 */
import { Alarm, type Clock } from '../../system/clock.ts';
import { type Bpdu, type BridgeId, emitBpdu, portId } from '../../wire/bpdu.ts';
import type { TreeHost } from './spanning-tree.ts';
import { TreePort, type TreeRole } from './tree-port.ts';
import { compareVectors, type Vector } from './vector.ts';

/** How often each port says what it offers, in milliseconds. */
const HELLO_MS = 4000;
/** Part of that by which each VLAN is behind the one before: in that of the golden ratio, any number of them is spread. */
const HELLO_STEP = 0.618_033_988_75;
/** How long an offer holds that is not repeated, in milliseconds. */
const CLAIM_MS = 12_000;
/** After how long a port forwards to a bridge that does not answer, in milliseconds: it may be one that only listens. */
const OPEN_MS = 4000;
/** The same for one that does not hear us and forwards, in milliseconds: longer than from one hello to the next. */
const DEAF_MS = 10_000;
/** How often that is proposed meanwhile, in milliseconds. */
const PROPOSE_MS = 1000;
/** How long a change of the topology is told, in milliseconds: in two BPDUs at least. */
const CHANGE_MS = 5000;
/** The age at which news is not passed on: it may go round in circles. */
const MAX_AGE_SECONDS = 40;
/** How much older it is after each bridge: a network may be 20 bridges deep (IEEE 802.1D, 17.14 "Bridge Max Age"). */
const HOP_SECONDS = 2;
/** What each port adds to the way to the root; that of 1 Mbit/s in IEEE 802.1D, table 17-3. */
const PORT_COST = 20_000_000;
/** The longest way that is believed in, 20 bridges as well: the originals do not pass on how old news is. */
const MAX_COST: number = 20 * PORT_COST;
/** The `designated` bridge of the root. */
const NOBODY: BridgeId = 'ff:ff:ff:ff:ff:ff:ff:ff';

export interface VlanTreeOptions {
  readonly vlan: number;
  readonly bridge: BridgeId;
}

/** A tree for those who look. */
export interface VlanTreeStatus {
  readonly isRoot: boolean;
  readonly root: BridgeId;
  /** Who offers the way to the root; ff:ff:… when we are it. */
  readonly designated: BridgeId;
  /** 0 when we are the root. */
  readonly rootPort: number;
  readonly cost: number;
  /** Seconds since something was heard of the root, or since we are it. */
  readonly age: number;
  /** 0 for none. */
  readonly bonusPort: number;
  readonly bonusCost: number;
  /** By number. */
  readonly ports: readonly {
    readonly number: number;
    readonly cost: number;
    readonly role: TreeRole;
    readonly isForwarding: boolean;
  }[];
}

/** The way to the root. */
interface Way {
  readonly port: TreePort | undefined;
  readonly root: BridgeId;
  readonly cost: number;
  readonly designated: BridgeId;
  readonly ageSeconds: number;
}

export class VlanTree {
  readonly #host: TreeHost;
  readonly #clock: Clock;
  readonly #vlan: number;
  readonly #bridge: BridgeId;
  readonly #ports = new Map<number, TreePort>();
  readonly #edges = new Set<number>();
  readonly #alarm: Alarm;
  #bonusPort = 0;
  #bonusCost = 0;
  #isOn = false;
  #way: Way;
  /** When the root was heard of last. */
  #rootAt: number;
  /** Since when the way is what it is. */
  #wayAt: number;
  #helloAt = 0;

  constructor(host: TreeHost, clock: Clock, { vlan, bridge }: VlanTreeOptions) {
    this.#host = host;
    this.#clock = clock;
    this.#vlan = vlan;
    this.#bridge = bridge;
    this.#alarm = new Alarm(clock);
    this.#way = this.#ownWay();
    this.#rootAt = clock.now();
    this.#wayAt = clock.now();
  }

  start(): void {
    this.#isOn = true;
    // Not all VLANs at the same moment: there may be thousands of them.
    this.#helloAt = this.#clock.now() + HELLO_MS * (1 - ((this.#vlan * HELLO_STEP) % 1));
    this.#rootAt = this.#clock.now();
    for (const port of this.#ports.values()) if (!this.#isEdge(port)) port.isSendWanted = true;
    this.#settle();
  }

  /** All ports forward from now on. */
  stop(): void {
    this.#isOn = false;
    this.#alarm.cancel();
    this.#way = this.#ownWay();
    this.#tellRoot();
    for (const port of this.#ports.values()) {
      port.reset();
      port.role = this.#isEdge(port) ? 'Edge' : 'Designated';
      if (!port.isOpen) this.#letPass(port, true);
    }
  }

  /** Nothing more is sent or called. */
  close(): void {
    this.#isOn = false;
    this.#alarm.cancel();
    this.#ports.clear();
  }

  addPort(number: number): void {
    if (this.#ports.has(number)) return;
    const port = new TreePort(number);
    this.#ports.set(number, port);
    if (this.#isEdge(port)) port.role = 'Edge';
    // The first frame that leaves: a bridge at the other end knows of us before it gets anything to forward.
    else if (this.#isOn) port.isSendWanted = true;
    this.#settle();
    this.#host.setForwarding(number, this.#vlan, true);
  }

  removePort(number: number): void {
    const port = this.#ports.get(number);
    if (port === undefined) return;
    this.#ports.delete(number);
    if (port.isActive) this.#host.event({ kind: 'tree-port-inactive', port: number, vlan: this.#vlan });
    if (this.#isOn) this.#recompute();
    this.#settle();
  }

  setEdge(number: number, isEdge: boolean): void {
    if (this.#edges.has(number) === isEdge) return;
    if (isEdge) this.#edges.add(number);
    else this.#edges.delete(number);
    const port = this.#ports.get(number);
    if (port === undefined) return;
    port.reset();
    if (isEdge) port.role = 'Edge';
    if (this.#isOn) this.#recompute();
    if (isEdge) this.#letPass(port, true);
    else if (this.#isOn) port.isSendWanted = true;
    this.#settle();
  }

  setBonus(number: number, cost: number): void {
    this.#bonusPort = number;
    this.#bonusCost = cost;
    if (this.#isOn) this.#recompute();
    this.#settle();
  }

  isForwarding(number: number): boolean {
    return this.#ports.get(number)?.isOpen ?? true;
  }

  status(): VlanTreeStatus {
    const { port: rootPort, root, cost, designated } = this.#way;
    const ports = [...this.#ports.values()].sort((a, b) => a.number - b.number);
    return {
      isRoot: root === this.#bridge,
      root,
      designated,
      rootPort: rootPort?.number ?? 0,
      cost,
      age: Math.floor((this.#clock.now() - this.#rootAt) / 1000),
      bonusPort: this.#bonusPort,
      bonusCost: this.#bonusCost,
      ports: ports.map(({ number, role, isOpen }) => ({ number, cost: PORT_COST, role, isForwarding: isOpen })),
    };
  }

  receive(number: number, bpdu: Bpdu): void {
    const port = this.#ports.get(number);
    const now = this.#clock.now();
    if (!this.#isOn || port === undefined || this.#isEdge(port) || !port.hear(bpdu.bridge, now)) return;
    const isNew = !port.isActive;
    port.isActive = true;
    if (isNew) this.#host.event({ kind: 'tree-port-active', port: number, vlan: this.#vlan });
    if (bpdu.bridge === this.#bridge) this.#hearOurselves(port, bpdu);
    else if (bpdu.role === 'root') this.#hearFollower(port, bpdu);
    else this.#hearOffer(port, bpdu);
    if (isNew && port.isOpen) this.#change(port);
    if (bpdu.isTopologyChange && port.isOpen) this.#passOnChange(port);
    this.#settle();
  }

  /** What we sent came back: of two ports that hear each other, the one with the higher number does not forward. */
  #hearOurselves(port: TreePort, bpdu: Bpdu): void {
    const { claim } = port;
    if (bpdu.port > portId(port.number)) port.isAgreed ||= !port.isShared(this.#clock.now());
    else if (claim === undefined || claim.bridge === this.#bridge) this.#takeOffer(port, bpdu);
    this.#recompute();
  }

  /** A bridge takes us for its way to the root. */
  #hearFollower(port: TreePort, bpdu: Bpdu): void {
    if (port.claim?.bridge === bpdu.bridge) port.claim = undefined;
    port.isAgreed ||= this.#isAgreement(port, bpdu);
    this.#recompute();
    if (bpdu.root !== this.#way.root) port.isSendWanted = true;
  }

  /** A bridge offers a way to the root, or says that it has one and does not use this link. */
  #hearOffer(port: TreePort, bpdu: Bpdu): void {
    const isRepeated = port.claim?.bridge === bpdu.bridge && port.claim.port === bpdu.port;
    const isBetter = compareVectors(bpdu, port.claim ?? this.#offerAt(port)) < 0;
    if (isTooOld(bpdu)) port.claim = undefined;
    else if (isRepeated || isBetter) this.#takeOffer(port, bpdu);
    const isWorse = compareVectors(bpdu, this.#offerAt(port)) > 0 && !isRepeated;
    const agrees = bpdu.isAgreement && bpdu.role === 'alternate' && this.#isAgreement(port, bpdu);
    // Its cost does not say which offer it answers.
    port.isAgreed ||= agrees && this.#clock.now() - this.#wayAt >= PROPOSE_MS;
    const isDeaf = isWorse && bpdu.isForwarding && !agrees;
    if (isDeaf) port.isAgreed = false;
    this.#recompute();
    // Who forwards and does not know better has not heard us, and may never do. It says so again before this is over.
    if (isDeaf && port.opensAt !== undefined) port.opensAt = this.#clock.now() + DEAF_MS;
    const isOurs = compareVectors(bpdu, this.#offerAt(port)) > 0;
    if (isOurs ? !agrees && (bpdu.root !== this.#way.root || !bpdu.isAgreement) : bpdu.isProposal) {
      port.isSendWanted = true;
    }
  }

  #takeOffer(port: TreePort, { root, cost, bridge, port: from, ageSeconds }: Bpdu): void {
    const now = this.#clock.now();
    port.claim = { root, cost, bridge, port: from, ageSeconds: ageSeconds + HOP_SECONDS, until: now + CLAIM_MS };
    if (this.#way.port === port) this.#rootAt = now;
  }

  /**
   * Whether a bridge alone at the other end agrees to what we offer now. It may be answering what we offered before: so
   * it seems when its way is shorter than ours and the cost of its port. Or it has a bonus; time tells.
   */
  #isAgreement(port: TreePort, bpdu: Bpdu): boolean {
    const now = this.#clock.now();
    if (bpdu.root !== this.#way.root || port.isShared(now)) return false;
    const isAnswer = bpdu.cost >= this.#way.cost + PORT_COST || now - this.#wayAt >= PROPOSE_MS;
    return isAnswer && compareVectors(bpdu, this.#offerAt(port)) > 0;
  }

  /** What we offer at a port. */
  #offerAt(port: TreePort): Vector {
    return { root: this.#way.root, cost: this.#way.cost, bridge: this.#bridge, port: portId(port.number) };
  }

  #ownWay(): Way {
    return { port: undefined, root: this.#bridge, cost: 0, designated: NOBODY, ageSeconds: 0 };
  }

  #isEdge(port: TreePort): boolean {
    return this.#edges.has(port.number);
  }

  #bestWay(): Way {
    let best = this.#ownWay();
    let bestVector: Vector = { root: this.#bridge, cost: 0, bridge: this.#bridge, port: 0 };
    for (const port of [...this.#ports.values()].sort((a, b) => a.number - b.number)) {
      const { claim } = port;
      if (claim === undefined || claim.bridge === this.#bridge) continue;
      const cost = claim.cost + this.#costOf(port);
      const vector = { ...claim, cost };
      if (compareVectors(vector, bestVector) >= 0) continue;
      bestVector = vector;
      best = { port, root: claim.root, cost, designated: claim.bridge, ageSeconds: claim.ageSeconds };
    }
    return best;
  }

  /** Never 0 or less: a way must not become shorter at each bridge. */
  #costOf(port: TreePort): number {
    return Math.max(1, PORT_COST - (port.number === this.#bonusPort ? this.#bonusCost : 0));
  }

  /** Finds the way to the root and what each port is; closes ports before it opens any. */
  #recompute(): void {
    const old = this.#way;
    this.#way = this.#bestWay();
    const { port: rootPort, root, cost } = this.#way;
    const isOther = root !== old.root || cost !== old.cost || rootPort !== old.port;
    const isOffer = root !== old.root || cost !== old.cost;
    if (isOther) {
      this.#rootAt = this.#clock.now();
      this.#wayAt = this.#rootAt;
      this.#tellRoot();
    }
    for (const port of this.#ports.values()) {
      // Those behind it agreed to another offer. A better one may be old news that goes round: they are to agree, too.
      if (isOffer) port.isAgreed = false;
      this.#setRole(port, this.#roleOf(port));
    }
    if (rootPort !== undefined) this.#openRoot(rootPort, old);
    for (const port of this.#ports.values()) {
      if (port.role === 'Designated' && port.isAgreed && !port.isOpen) this.#open(port);
      if (isOther && port.isActive && port.role !== 'Alternate/Backup') port.isSendWanted = true;
    }
  }

  #roleOf(port: TreePort): TreeRole {
    const { claim } = port;
    if (this.#isEdge(port)) return 'Edge';
    if (port === this.#way.port) return 'Root';
    if (claim === undefined) return 'Designated';
    if (claim.bridge === this.#bridge || compareVectors(claim, this.#offerAt(port)) < 0) return 'Alternate/Backup';
    return 'Designated';
  }

  /** Closes the port unless it may stay open in its role. */
  #setRole(port: TreePort, role: TreeRole): void {
    if (role !== 'Designated') port.isAgreed = false;
    port.role = role;
    if (role === 'Designated') {
      // It is no better than ours, and old when it would be of use.
      port.claim = undefined;
      if (port.isActive && !port.isAgreed) this.#propose(port);
      return;
    }
    port.clearWaits();
    if (role === 'Alternate/Backup' && port.isOpen) this.#shut(port);
  }

  /** Closes a designated port until the bridge at the other end agrees. */
  #propose(port: TreePort): void {
    if (port.isOpen) this.#shut(port);
    if (port.opensAt !== undefined) return;
    const now = this.#clock.now();
    port.opensAt = now + OPEN_MS;
    port.proposesAt = now + PROPOSE_MS;
    port.isSendWanted = true;
  }

  #openRoot(port: TreePort, old: Way): void {
    if (!port.isOpen) {
      this.#open(port);
      return;
    }
    if (port !== old.port) this.#change(port);
    // The originals say so again and again.
    if (port !== old.port || this.#way.root !== old.root || this.#way.cost !== old.cost) this.#tellStatus(port);
  }

  #open(port: TreePort): void {
    port.clearWaits();
    this.#letPass(port, true);
    this.#change(port);
  }

  /** The port is a part of the tree now. */
  #change(port: TreePort): void {
    this.#forgetElsewhere(port);
    for (const other of this.#ports.values()) {
      other.changedUntil = 0;
      this.#tellChange(other);
    }
  }

  #shut(port: TreePort): void {
    this.#letPass(port, false);
    port.changedUntil = 0;
    this.#host.forget(port.number, this.#vlan);
  }

  #letPass(port: TreePort, isOpen: boolean): void {
    port.isOpen = isOpen;
    this.#host.setForwarding(port.number, this.#vlan, isOpen);
    this.#tellStatus(port);
  }

  #tellStatus(port: TreePort): void {
    const status = port.isOpen ? 'learning+forwarding' : 'discarding';
    this.#host.event({ kind: 'tree-status', port: port.number, vlan: this.#vlan, status });
  }

  #tellRoot(): void {
    const { port, root } = this.#way;
    this.#host.event({ kind: 'tree-root', vlan: this.#vlan, rootPort: port?.number ?? 0, root });
  }

  /** Stations that were heard by way of bridges may be behind the port now. */
  #forgetElsewhere(port: TreePort): void {
    for (const other of this.#ports.values()) {
      if (other !== port && other.isActive) this.#host.forget(other.number, this.#vlan);
    }
  }

  /** Told once: who hears of a change that we tell already has it from us, or from where we have it. */
  #tellChange(port: TreePort): void {
    const now = this.#clock.now();
    if (!port.isActive || !port.isOpen || port.changedUntil > now) return;
    port.changedUntil = now + CHANGE_MS;
    port.isSendWanted = true;
  }

  #passOnChange(from: TreePort): void {
    this.#forgetElsewhere(from);
    for (const port of this.#ports.values()) if (port !== from) this.#tellChange(port);
  }

  /** Sends what is to be sent, and sets the alarm. */
  #settle(): void {
    if (!this.#isOn) return;
    const now = this.#clock.now();
    for (const port of this.#ports.values()) {
      if (port.isSendWanted && port.maySend(now)) this.#send(port, now);
    }
    const due = [...this.#ports.values()].map((port) => port.nextDue());
    const next = due.reduce((least, at) => Math.min(least, at), this.#helloAt);
    this.#alarm.set(next - now, () => this.#wake());
  }

  #send(port: TreePort, now: number): void {
    const isDesignated = port.role === 'Designated';
    const bpdu: Bpdu = {
      ...this.#offerAt(port),
      isTopologyChange: port.changedUntil > now,
      isProposal: isDesignated && !port.isOpen,
      role: isDesignated ? 'designated' : port.role === 'Root' ? 'root' : 'alternate',
      isLearning: port.isOpen,
      isForwarding: port.isOpen,
      isAgreement: !isDesignated || (port.isHello && port.isOpen),
      ageSeconds: this.#way.ageSeconds,
      maxAgeSeconds: MAX_AGE_SECONDS,
      helloSeconds: HELLO_MS / 1000,
      delaySeconds: 0,
    };
    port.isSendWanted = false;
    port.isHello = false;
    this.#host.send(port.number, this.#vlan, emitBpdu(bpdu));
  }

  #wake(): void {
    const now = this.#clock.now();
    if (now >= this.#helloAt) this.#hello(now);
    let isOver = false;
    for (const port of this.#ports.values()) {
      if (port.claim !== undefined && now >= port.claim.until) {
        port.claim = undefined;
        isOver = true;
      }
    }
    if (isOver) this.#recompute();
    for (const port of this.#ports.values()) {
      if (port.opensAt !== undefined && now >= port.opensAt) {
        // Silence has to do.
        port.isAgreed = true;
        this.#open(port);
      }
      if (port.proposesAt !== undefined && now >= port.proposesAt) {
        port.proposesAt = now + PROPOSE_MS;
        port.isSendWanted = true;
      }
    }
    this.#settle();
  }

  #hello(now: number): void {
    // The next one in step, however late this one is.
    this.#helloAt += HELLO_MS * (1 + Math.floor((now - this.#helloAt) / HELLO_MS));
    for (const port of this.#ports.values()) {
      if (this.#isEdge(port)) continue;
      port.isSendWanted = true;
      port.isHello = true;
    }
  }
}

/** Whether news of the root is not passed on: it goes round in circles. */
function isTooOld({ ageSeconds, cost }: Bpdu): boolean {
  return ageSeconds + HOP_SECONDS >= MAX_AGE_SECONDS || cost + PORT_COST > MAX_COST;
}
