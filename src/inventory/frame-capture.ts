/**
 * A capture, as who asks for it has it: `vde capture`, and programs.
 *
 * ```ts
 * const capture = await startCapture(await connectToProcess('web'), { link: 'vde0' });
 * for await (const { link, isOutbound, bytes } of capture.frames('icmp')) console.log(link, isOutbound, bytes.length);
 * ```
 *
 * The process whose frames they are copies them into a ring, which is read here: frames do not wait for the reader.
 */
import { machine } from 'node:os';
import { resolve } from 'node:path';
import { brokenRing } from '../capture/block-checker.ts';
import { osName } from '../capture/capture.ts';
import { type CaptureFilter, parseFilter } from '../capture/filter/filter.ts';
import { blockLength, type CapturedInterface, frameNotes, parseBlock, sectionHeader } from '../capture/pcapng.ts';
import { type ReaderCounts, RingReader } from '../capture/ring-reader.ts';
import type { ControlClient } from '../control/client.ts';
import { VdensError } from '../errors.ts';
import { CaptureRing } from '../plugs/capture-ring.ts';
import { errnoName, native } from '../system/native.ts';

const WHOLE_FRAMES = 262_144;
const DEFAULT_BUFFER_BYTES = 16_777_216;

/** What of a process is captured. */
export interface CaptureSelection {
  /**
   * An interface or a port, or what is plugged into the network of this name; `any` for all.
   *
   * @defaultValue the interfaces of its namespaces; all that it has when there are none
   */
  readonly link?: string | undefined;
  /** The ports of the switch in this directory. */
  readonly switch?: string | undefined;
}

/** How to capture. */
export interface FrameCaptureOptions extends CaptureSelection {
  /** How many bytes of a frame are kept, from 14 on. @defaultValue 262144, all of them */
  readonly snap?: number;
  /** Room for frames that were not taken yet, from 256 KiB to 1 GiB. @defaultValue 16 MiB */
  readonly bufferBytes?: number;
}

/** A frame that passed. */
export interface PassedFrame {
  /** The interface or port. */
  readonly link: string;
  /** Whether it left that, as its owner sees it. */
  readonly isOutbound: boolean;
  /** In nanoseconds since 1970. */
  readonly timeNs: bigint;
  /** What was kept of it. */
  readonly bytes: Uint8Array;
  /** How long it was. */
  readonly length: number;
  /** Drops at the link since the frame before: `2 frames dropped outbound: too-long`. */
  readonly comments: readonly string[];
  /** How many frames of the link before it found no room. */
  readonly leftOut: number;
}

/**
 * Begins to capture in a process.
 *
 * @param control from now on the capture's, which closes it when all that passed was taken, or it cannot begin
 * @throws VdensError `ERR_USAGE` when there is no such link, or too many captures; `ERR_NATIVE` when memory is short
 */
export async function startCapture(control: ControlClient, options: FrameCaptureOptions = {}): Promise<FrameCapture> {
  const { snap = WHOLE_FRAMES, bufferBytes = DEFAULT_BUFFER_BYTES } = options;
  const fields = { ...selectionFields(options), snap, bytes: bufferBytes };
  try {
    const { ring, answer } = await takeRing(control, 'capture-start', fields);
    return new FrameCapture(control, ring, answer);
  } catch (error) {
    control.close();
    throw error;
  }
}

/** A capture that runs. What it has is taken once: as frames, as a file, or as blocks of one. */
export class FrameCapture {
  /** Those that are there at its begin; others may come. */
  readonly interfaces: readonly CapturedInterface[];
  readonly #control: ControlClient;
  readonly #reader: RingReader;
  #missed: readonly string[];
  #isStopping = false;

  /** @internal See {@link startCapture}. */
  constructor(control: ControlClient, ring: CaptureRing, answer: Readonly<Record<string, unknown>>) {
    this.#control = control;
    this.#reader = new RingReader(ring);
    this.interfaces = interfacesIn(answer['interfaces']);
    this.#missed = textsIn(answer['missed']);
    void this.#awaitEnd();
  }

  /** Links that were to be captured, and could not be: known at the begin, and when it has ended. */
  get missed(): readonly string[] {
    return this.#missed;
  }

  /** When it has ended. */
  get counts(): ReaderCounts {
    return this.#reader.counts;
  }

  /** Whether it was ended here, and not by the end of the process. */
  get isStopped(): boolean {
    return this.#isStopping;
  }

  /** Ends it: what has passed until now comes yet. Idempotent. */
  stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    // What the process says last is in the ring then.
    this.#control.request('capture-stop').then(
      ({ missed }) => {
        this.#missed = textsIn(missed);
        this.#reader.end();
      },
      () => this.#reader.end(),
    );
  }

  /**
   * The frames, until {@link stop} or the end of the process. To leave the loop ends it, too.
   *
   * @param filter as of tcpdump: `tcp port 80`
   * @throws VdensError `ERR_USAGE` when the filter is wrong
   */
  frames(filter = ''): AsyncGenerator<PassedFrame> {
    return this.#frames(parseFilter(filter));
  }

  /** A capture file (pcapng), piece by piece as it grows. */
  async *file(): AsyncGenerator<Uint8Array> {
    yield sectionHeader({ hardware: machine(), os: osName(), application: 'vdens' });
    for await (const blocks of this.blocks()) yield blocks.slice();
  }

  /** What stands in a file behind its header: whole blocks, which are borrowed until the next ones are asked for. */
  async *blocks(): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#reader.blocks();
    } finally {
      this.#control.close();
    }
  }

  async *#frames(passes: CaptureFilter): AsyncGenerator<PassedFrame> {
    const names: string[] = [];
    for await (const blocks of this.blocks()) {
      const view = new DataView(blocks.buffer, blocks.byteOffset, blocks.byteLength);
      for (let at = 0; at < blocks.length; ) {
        // Others can write there still.
        const length = blockLength(view, at, blocks.length) ?? 0;
        if (length === 0) throw brokenRing();
        const block = parseBlock(view, at, length);
        if (block?.kind === 'interface') names.push(block.name);
        if (block?.kind === 'frame') {
          const notes = frameNotes(view, at, length);
          const bytes = block.bytes.slice();
          if (passes(bytes, block.length, notes.isOutbound))
            yield {
              link: names[block.index] ?? `${block.index}`,
              timeNs: block.timeNs,
              length: block.length,
              ...notes,
              bytes,
            };
        }
        at += length;
      }
    }
  }

  /** The process has let go of us when its events end. */
  async #awaitEnd(): Promise<void> {
    for await (const { descriptors } of this.#control.events) for (const fd of descriptors) native.closeDescriptor(fd);
    this.#reader.end();
  }
}

/** What the operations of captures are told. */
export function selectionFields({ link, switch: directory }: CaptureSelection): object {
  return { link, ...(directory === undefined ? {} : { kind: 'switch', network: resolve(directory) }) };
}

/** Asks for a ring. */
export async function takeRing(
  control: ControlClient,
  action: 'capture-start' | 'record-take',
  fields: object,
): Promise<{ readonly ring: CaptureRing; readonly answer: Readonly<Record<string, unknown>> }> {
  const { answer, descriptors } = await control.requestWithDescriptors(action, fields);
  const [memory = -1, notice = -1, ...others] = descriptors;
  for (const fd of others) native.closeDescriptor(fd);
  const ring = CaptureRing.open(memory, notice);
  if (typeof ring !== 'number') return { ring, answer };
  for (const fd of [memory, notice]) if (fd >= 0) native.closeDescriptor(fd);
  const errno = errnoName(ring);
  throw new VdensError('ERR_NATIVE', `cannot take the ring of the capture (${errno}). Is memory short?`, { errno });
}

/** Interfaces in the answer of an operation. */
export function interfacesIn(value: unknown): readonly CapturedInterface[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [];
  return list.map((each) => {
    const { name, description } = (each ?? {}) as Record<string, unknown>;
    return { name: String(name), description: String(description) };
  });
}

/** Names in the answer of an operation. */
export function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}
