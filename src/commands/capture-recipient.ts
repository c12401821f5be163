/** What becomes of captured blocks: a file, or lines; all of them, or those that a filter lets pass. */

import { brokenRing } from '../capture/block-checker.ts';
import type { CaptureFilter } from '../capture/filter/filter.ts';
import { describeFrame } from '../capture/frame-line.ts';
import {
  blockLength,
  type CapturedFrame,
  type CapturedInterface,
  frameNotes,
  interfaceOfFrame,
  isFrameBlock,
  parseBlock,
} from '../capture/pcapng.ts';
import type { CaptureSink } from './capture-sink.ts';
import { printable } from './standard-streams.ts';

/** How to choose. */
export interface Choice {
  /** `undefined`: every frame. */
  readonly filter: CaptureFilter | undefined;
  /** How many frames, at most. */
  readonly count: number | undefined;
  /** Frames before are left out, in nanoseconds since 1970. */
  readonly sinceNs?: bigint;
  /** Numbers of the interfaces whose frames are meant; `undefined`: of all. */
  readonly interfaces?: ReadonlySet<number> | undefined;
}

/** Takes blocks in their order. */
export interface Recipient {
  /** @returns whether it wants more frames */
  take(blocks: Uint8Array): Promise<boolean>;
  /** Frames that passed; `undefined` when they were not looked at. */
  readonly passed: number | undefined;
}

/** Writes blocks as they are. */
export class WholeRecipient implements Recipient {
  readonly #sink: CaptureSink;
  readonly passed = undefined;

  constructor(sink: CaptureSink) {
    this.#sink = sink;
  }

  async take(blocks: Uint8Array): Promise<boolean> {
    await this.#sink.write([blocks]);
    return true;
  }
}

/** Looks at each frame. */
abstract class ChoosingRecipient implements Recipient {
  readonly #choice: Choice;
  passed = 0;

  constructor(choice: Choice) {
    this.#choice = choice;
  }

  /** Frames pass when they have been written. */
  async take(blocks: Uint8Array): Promise<boolean> {
    const before = this.passed;
    try {
      await this.#choose(blocks);
    } catch (error) {
      this.passed = before;
      throw error;
    }
    return this.passed < (this.#choice.count ?? Number.POSITIVE_INFINITY);
  }

  /** A frame that passes. */
  protected abstract frame(view: DataView, at: number, length: number, frame: CapturedFrame): void;
  /** A block that is none. */
  protected abstract other(view: DataView, at: number, length: number): void;
  /** All were looked at. */
  protected abstract flush(blocks: Uint8Array): Promise<void>;

  async #choose(blocks: Uint8Array): Promise<void> {
    const view = new DataView(blocks.buffer, blocks.byteOffset, blocks.byteLength);
    for (let at = 0; at < blocks.length; ) {
      const length = blockLength(view, at, blocks.length);
      if (length === undefined || length === 0) throw brokenRing();
      if (!isFrameBlock(view, at)) this.other(view, at, length);
      else if (this.#isWanted(view, at, length)) this.passed++;
      at += length;
    }
    await this.flush(blocks);
  }

  #isWanted(view: DataView, at: number, length: number): boolean {
    const { count, filter, sinceNs, interfaces } = this.#choice;
    if (count !== undefined && this.passed >= count) return false;
    if (interfaces !== undefined && !interfaces.has(interfaceOfFrame(view, at))) return false;
    const frame = parseBlock(view, at, length);
    if (frame?.kind !== 'frame') throw brokenRing();
    if (sinceNs !== undefined && frame.timeNs < sinceNs) return false;
    if (filter !== undefined && !filter(frame.bytes, frame.length, frameNotes(view, at, length).isOutbound))
      return false;
    this.frame(view, at, length, frame);
    return true;
  }
}

/** Writes the blocks that pass, and those that are no frames. */
export class FilteringRecipient extends ChoosingRecipient {
  readonly #sink: CaptureSink;
  /** Begin and end of what is to be written; neighbours are one. */
  #pieces: [number, number][] = [];

  constructor(sink: CaptureSink, choice: Choice) {
    super(choice);
    this.#sink = sink;
  }

  protected override frame(_view: DataView, at: number, length: number): void {
    const last = this.#pieces.at(-1);
    if (last !== undefined && last[1] === at) last[1] = at + length;
    else this.#pieces.push([at, at + length]);
  }

  protected override other(view: DataView, at: number, length: number): void {
    this.frame(view, at, length);
  }

  protected override async flush(blocks: Uint8Array): Promise<void> {
    const pieces = this.#pieces.map(([start, end]) => blocks.subarray(start, end));
    this.#pieces = [];
    if (pieces.length > 0) await this.#sink.write(pieces);
  }
}

/** Writes a line for each frame that passes. */
export class LineRecipient extends ChoosingRecipient {
  readonly #sink: CaptureSink;
  readonly #interfaces: CapturedInterface[];
  #lines: string[] = [];

  /** @param interfaces those that no block tells of */
  constructor(sink: CaptureSink, choice: Choice, interfaces: readonly CapturedInterface[] = []) {
    super(choice);
    this.#sink = sink;
    this.#interfaces = [...interfaces];
  }

  protected override frame(view: DataView, at: number, length: number, frame: CapturedFrame): void {
    const { isOutbound, leftOut, comments } = frameNotes(view, at, length);
    const name = this.#interfaces[frame.index]?.name ?? `${frame.index}`;
    const notes = [...comments, ...(leftOut > 0 ? [`${leftOut} left out here`] : [])];
    const tail = notes.length === 0 ? '' : ` (${notes.join('; ')})`;
    const line = `${clock(frame.timeNs)} ${name} ${isOutbound ? 'out' : 'in '} ${describeFrame(frame.bytes, frame.length)}${tail}`;
    this.#lines.push(printable(line));
  }

  protected override other(view: DataView, at: number, length: number): void {
    const block = parseBlock(view, at, length);
    if (block?.kind === 'interface') this.#interfaces.push(block);
  }

  protected override async flush(): Promise<void> {
    if (this.#lines.length === 0) return;
    const text = `${this.#lines.join('\n')}\n`;
    this.#lines = [];
    await this.#sink.write([Buffer.from(text)]);
  }
}

/** The time of the day here, to the microsecond. */
function clock(ns: bigint): string {
  const date = new Date(Number(ns / 1_000_000n));
  const two = (value: number): string => String(value).padStart(2, '0');
  const micros = String((ns / 1000n) % 1_000_000n).padStart(6, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${micros}`;
}
