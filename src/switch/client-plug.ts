/** The port of a client, whose socket loses its name when either side is done with it. */
import type { FrameReceiver, PlugEvents } from '../plugs/plug.ts';
import { SocketPlug, type SocketPlugOptions } from '../plugs/socket-plug.ts';

export class ClientPlug extends SocketPlug {
  #removeName: (() => void) | undefined;

  /** @param removeName called once, when the client is gone or the plug is closed */
  constructor(label: string, options: SocketPlugOptions, removeName: () => void) {
    super(label, options);
    this.#removeName = removeName;
  }

  override start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    super.start(receiver, {
      drain: () => events.drain?.(),
      down: (reason) => {
        this.#forgetName();
        events.down?.(reason);
      },
      up: () => events.up?.(),
    });
  }

  override close(): Promise<void> {
    this.#forgetName();
    return super.close();
  }

  #forgetName(): void {
    this.#removeName?.();
    this.#removeName = undefined;
  }
}
