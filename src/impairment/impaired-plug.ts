/**
 * A plug whose network can be made worse on purpose, and pulled out, while frames pass.
 *
 * As long as nothing is the matter with it, it is not there: what the network lends it lends on, and frames move without
 * JavaScript. When something is, it takes the loan back, and frames pass here; when nothing is any more, it says so
 * (`lendable`), at which a cable lays its line again.
 */
import type { FrameBatch } from '../frames/batch.ts';
import { batchBytes } from '../plugs/counters.ts';
import type { KernelEnd, Lender } from '../plugs/kernel-end.ts';
import type { Line } from '../plugs/line.ts';
import type { Plug, PlugEvents } from '../plugs/plug.ts';
import { WrapperPlug } from '../plugs/wrapper.ts';

const CUT_REASON = 'the cable was cut (vde cut)';

export class ImpairedPlug extends WrapperPlug implements Plug, Lender {
  #isCut = false;
  /** The network itself went away, and is not back yet. */
  #isInnerDown = false;
  /** Ends the loan of what the network lends. */
  #takeBack: (() => void) | undefined;
  /** While the network moves the frames of the other end. */
  #adopted: Line | undefined;

  constructor(inner: Plug) {
    super(inner.label, inner, inner.counters);
  }

  /** What is set, in canonical words. */
  get impairment(): readonly string[] {
    return [];
  }

  /**
   * Sets what the words say, and leaves the rest as it is.
   *
   * @param words such as `delay=20`, `loss=1%`; none, or `none`, clears everything
   * @throws VdensError `ERR_USAGE`
   */
  impair(_words: readonly string[]): void {
    this.#changed();
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /** Pulls the cable out: nothing passes, and the other end is told so. Idempotent. */
  cut(): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#passHere();
    if (!this.#isInnerDown) this.events.down?.(CUT_REASON);
  }

  /** Puts it back. Idempotent. */
  join(): void {
    if (!this.#isCut) return;
    this.#isCut = false;
    if (!this.#isInnerDown) this.events.up?.();
    this.#changed();
  }

  /** Whoever asks after a cut waits for somebody to put the cable back, as for one who was never there. */
  override get hasBeenUp(): boolean {
    return !this.#isCut && super.hasBeenUp;
  }

  override get busy(): boolean {
    return !this.#isCut && this.inner.busy;
  }

  get lender(): Lender {
    return this;
  }

  lend(takeBack: () => void): KernelEnd | undefined {
    if (this.#isWanted) return undefined;
    const end = this.inner.lender?.lend(takeBack);
    if (end !== undefined) this.#takeBack = takeBack;
    return end;
  }

  restore(isGone: boolean): void {
    this.#takeBack = undefined;
    this.inner.lender?.restore(isGone);
  }

  adopt(other: Lender, given: () => void): Line | undefined {
    if (this.#isWanted) return undefined;
    const line = this.inner.adopt?.(other, () => {
      this.#adopted = undefined;
      given();
    });
    if (line === undefined) return undefined;
    this.#adopted = {
      close: () => {
        this.#adopted = undefined;
        line.close();
      },
    };
    return this.#adopted;
  }

  protected override wrap(batch: FrameBatch): void {
    if (this.#isCut) this.counters.drop('sent', 'down', batch.count);
    else this.inner.send(batch);
  }

  protected override unwrap(batch: FrameBatch): boolean {
    if (!this.#isCut) return this.deliver(batch);
    this.dropReceived('down', batch.count, batchBytes(batch));
    return true;
  }

  protected override innerEvents(): ReturnType<WrapperPlug['innerEvents']> & Pick<PlugEvents, 'lendable'> {
    return {
      ...super.innerEvents(),
      down: (reason) => {
        this.#isInnerDown = true;
        if (!this.#isCut) this.events.down?.(reason);
      },
      up: () => {
        this.#isInnerDown = false;
        if (!this.#isCut) this.events.up?.();
      },
      lendable: () => this.#changed(),
    };
  }

  /** Whether frames have to pass here. */
  get #isWanted(): boolean {
    return this.#isCut;
  }

  #changed(): void {
    if (this.#isWanted) this.#passHere();
    else if (this.#takeBack === undefined && this.#adopted === undefined) this.events.lendable?.();
  }

  /** Has frames pass through here from now on. */
  #passHere(): void {
    this.#takeBack?.();
    this.#adopted?.close();
  }
}
