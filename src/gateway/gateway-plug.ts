/**
 * The way out as a plug.
 */

import { MAX_FRAME_BYTES } from '../frames/batch.ts';
import { formatSocketAddress } from '../net/socket-address.ts';
import { DatapathPlug } from '../plugs/datapath-plug.ts';
import { describeForward, type Forwards } from './forwards.ts';
import type { GatewayCounter } from './gateway.ts';
import type { GatewayConfig } from './gateway-config.ts';
import { openGateways } from './open-gateways.ts';
import type { Rule } from './rules.ts';
import { RunningGateway, type RunningGatewayOptions } from './running-gateway.ts';

/** A gateway with its services. */
export class GatewayPlug extends DatapathPlug {
  readonly config: GatewayConfig;
  readonly #running: RunningGateway;

  /**
   * Opens it: from now on the ports of its forwards are open.
   *
   * @throws VdensError `ERR_NETWORK_OPEN` when a port is taken, `ERR_NATIVE` when there are no descriptors left
   */
  static async open(label: string, config: GatewayConfig, options: RunningGatewayOptions = {}): Promise<GatewayPlug> {
    const running = new RunningGateway(label, config, options);
    try {
      await running.start();
      options.signal?.throwIfAborted();
      return new GatewayPlug(label, config, running);
    } catch (error) {
      await running.close();
      throw error;
    }
  }

  private constructor(label: string, config: GatewayConfig, running: RunningGateway) {
    super({
      label,
      kind: 'gateway',
      id: running.gateway.id,
      maxFrameBytes: MAX_FRAME_BYTES,
      mtu: config.mtu,
      release: () => {
        openGateways.delete(this);
        return running.close();
      },
    });
    this.config = config;
    this.#running = running;
    running.trouble = (error) => this.tell(error);
    openGateways.add(this);
  }

  /** Ports of the host that lead to guests: added, listed and removed while it runs. */
  get forwards(): Pick<Forwards, 'add' | 'list' | 'remove'> {
    return this.#running.forwards;
  }

  /** What became of packets and connections, by name; absent is zero. */
  get statistics(): Partial<Record<GatewayCounter, number>> {
    return this.#running.gateway.counters;
  }

  /** Connections, mappings and echos at present. */
  get flows(): number {
    return this.#running.gateway.flows;
  }

  /** Where destinations lead now, in the order in which it counts (rules.ts). */
  get rules(): readonly Rule[] {
    return this.#running.rules;
  }

  report(): readonly string[] {
    const counts = Object.entries(this.statistics).map(([name, count]) => `${name} ${count}`);
    return [
      `${this.flows} ${this.flows === 1 ? 'flow' : 'flows'}; DNS by ${formatSocketAddress(this.#running.resolvers.current)}`,
      ...(counts.length === 0 ? [] : [counts.join(', ')]),
      ...this.#running.forwards.list().map((forward) => `forward ${describeForward(forward)}`),
    ];
  }
}
