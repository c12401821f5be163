/** The port of a client, whose socket loses its name when either side is done with it. */
import type { FrameReceiver, PlugEvents } from '../plugs/plug.ts';
import { SocketPlug, type SocketPlugOptions } from '../plugs/socket-plug.ts';

export class ClientPlug extends SocketPlug {
  #removeName: (() => void) | undefined;
  #down: ((reason: string) => void) | undefined;

  /** @param removeName called once, when the client is gone or the plug is closed */
  constructor(label: string, options: SocketPlugOptions, removeName: () => void) {
    super(label, options);
    this.#removeName = removeName;
  }

  /** Whether the client is there, and the plug was not closed. */
  override get isUp(): boolean {
    return super.isUp;
  }

  override start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    this.#down = (reason) => {
      this.#down = undefined;
      this.#forgetName();
      events.down?.(reason);
    };
    super.start(receiver, {
      drain: () => events.drain?.(),
      down: (reason) => this.#down?.(reason),
      up: () => events.up?.(),
    });
  }

  /** Lets go of a client that never knew of its port. */
  lose(reason: string): void {
    this.#down?.(reason);
    void this.close();
  }

  override close(): Promise<void> {
    this.#down = undefined;
    this.#forgetName();
    return super.close();
  }

  #forgetName(): void {
    this.#removeName?.();
    this.#removeName = undefined;
  }
}
