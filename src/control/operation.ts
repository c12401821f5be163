/**
 * What a process does when it is asked on its control socket.
 *
 * An operation gets a request and answers an object, at once or later; what it throws is the answer as well. While it
 * is being answered, and after that as long as the connection stands, it may say more: *events*, which a subscriber
 * waits for.
 */

/** Who asks, as the kernel knows it (SO_PEERCRED, unix(7)): always the user of this process, or root. */
export interface ControlPeer {
  readonly pid: number;
  readonly uid: number;
}

/** The conversation that a request is part of. */
export interface OperationContext {
  readonly peer: ControlPeer;
  /** Aborted when the asker is gone, or this process lets go of its control socket. */
  readonly signal: AbortSignal;
  /** The descriptors that came with the request. They are closed after the answer, unless {@link takeDescriptors} took them. */
  readonly descriptors: readonly number[];
  /** Makes the descriptors of the request the caller's own, who closes them. */
  takeDescriptors(): readonly number[];
  /**
   * Says something besides the answer; the object has `event`, its name. Nothing happens when the asker is gone; one
   * that does not read loses its connection before more than a bounded number of bytes wait for it.
   *
   * @param descriptors that go along, which stay the caller's, and may be closed after the call
   */
  send(event: object, descriptors?: readonly number[]): void;
}

/**
 * Does what a request asks for. `request` is the JSON object without `version` and `do`; its values are unchecked.
 *
 * @returns what the answer is to contain
 * @throws VdensError which becomes the answer, with its code
 */
export type Operation = (
  request: Readonly<Record<string, unknown>>,
  context: OperationContext,
) => object | Promise<object>;

/** Operations by their names, as they stand in a request's `do`. */
export type Operations = Readonly<Record<string, Operation>>;
