/**
 * `vde capture`: what passes the interfaces of a namespace, the ports of a switch, or a cable, as a file or as lines.
 *
 * The process whose frames they are copies them into a ring, which this one reads at a lower priority: frames do not wait
 * for it, and what it cannot keep up with is left out and counted.
 */
import { machine, setPriority } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { BlockChecker, brokenRing } from '../capture/block-checker.ts';
import { osName } from '../capture/capture.ts';
import { parseFilter } from '../capture/filter/filter.ts';
import { type CapturedInterface, interfaceDescription, sectionHeader } from '../capture/pcapng.ts';
import type { ReaderCounts } from '../capture/ring-reader.ts';
import type { ControlClient } from '../control/client.ts';
import { VdensError } from '../errors.ts';
import { connectToProcess, isPath } from '../inventory/find-process.ts';
import {
  type CaptureSelection,
  interfacesIn,
  selectionFields,
  startCapture,
  takeRing,
  textsIn,
} from '../inventory/frame-capture.ts';
import type { Place } from '../inventory/link-name.ts';
import { type Choice, FilteringRecipient, LineRecipient, type Recipient, WholeRecipient } from './capture-recipient.ts';
import { type CaptureSink, openSink, standardOutput } from './capture-sink.ts';
import { printable, writeErrorLine } from './standard-streams.ts';
import type { CaptureAction } from './vde-capture-options.ts';
import { version } from './version.ts';

type CaptureRequest = Extract<CaptureAction, { action: 'capture' }>;
type RecordRequest = Extract<CaptureAction, { action: 'record' }>;

/** Of this process (setpriority(2)): frames go first. */
const NICE = 10;
/** What is copied out of a recording at a time, in bytes. */
const COPY_BYTES = 1_048_576;
const KIBIBYTE = 1024;
/** How many of the interfaces are named. */
const NAMES_TOLD = 8;
const NS_PER_SECOND = 1_000_000_000n;
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * Captures until it is told to end, or the process that is looked at does.
 *
 * @returns the exit status
 * @throws VdensError when there is no such process, the filter is wrong, or the file cannot be written
 */
export async function captureFrames(request: CaptureRequest): Promise<number> {
  const filter = request.filter === '' ? undefined : parseFilter(request.filter);
  const ending = new AbortController();
  for (const signal of ENDING_SIGNALS) process.once(signal, () => ending.abort());
  using control = await connectToProcess(request.subject.name);
  const sink = request.file === undefined ? standardOutput() : await openSink(request.file, ending.signal);
  try {
    yieldToFrames();
    if (request.isLast) await writeLast(control, sink, request, filter, ending.signal);
    else await follow(control, sink, request, filter, ending.signal);
  } catch (error) {
    if (!(error instanceof VdensError) || error.errno !== 'EPIPE' || error.syscall !== 'write') throw error;
  } finally {
    sink.close();
  }
  return 0;
}

/**
 * Turns the recorder of a process on or off.
 *
 * @returns the exit status: 1 when it was to be turned off, and was not on
 */
export async function recordFrames({ subject, seconds, snap, bytes }: RecordRequest): Promise<number> {
  using control = await connectToProcess(subject.name);
  const answer = await control.request('record', { ...selectionFields(selectionOf(subject)), seconds, snap, bytes });
  warnOfMissed(textsIn(answer['missed']));
  if (seconds > 0) return 0;
  if (answer['wasOn'] === true) return 0;
  writeErrorLine(`vde capture: nothing was recorded at ${subject.name}`);
  return 1;
}

/** Takes what comes until somebody ends it. */
async function follow(
  control: ControlClient,
  sink: CaptureSink,
  request: CaptureRequest,
  filter: Choice['filter'],
  ending: AbortSignal,
): Promise<void> {
  const { subject, count, seconds, snap, bytes, file } = request;
  const capture = await startCapture(control, { ...selectionOf(subject), snap, bufferBytes: bytes });
  sink.begin?.();
  const recipient = recipientFor(request, sink, { filter, count });
  const stop = (): void => {
    sink.hurry?.();
    capture.stop();
  };
  ending.addEventListener('abort', stop, { once: true });
  if (ending.aborted) stop();
  sink.watch?.(stop);
  const timer = seconds === undefined ? undefined : setTimeout(stop, seconds * 1000);
  const { missed } = capture;
  try {
    if (file !== undefined) await sink.write([fileHeader()]);
    writeErrorLine(`vde capture: listening at ${namesOf(capture.interfaces)}`);
    warnOfMissed(missed);
    for await (const blocks of capture.blocks()) if (!(await recipient.take(blocks))) stop();
  } finally {
    clearTimeout(timer);
    ending.removeEventListener('abort', stop);
    warnOfMissed(capture.missed.filter((name) => !missed.includes(name)));
    writeErrorLine(summary(recipient.passed, capture.counts));
  }
  if (!capture.isStopped) writeErrorLine(`vde capture: ${printable(subject.name)} has ended`);
}

/** Writes what was recorded until now. */
async function writeLast(
  control: ControlClient,
  sink: CaptureSink,
  request: CaptureRequest,
  filter: Choice['filter'],
  ending: AbortSignal,
): Promise<void> {
  const { ring, answer } = await takeRing(control, 'record-take', selectionFields(selectionOf(request.subject)));
  ending.addEventListener('abort', () => sink.hurry?.(), { once: true });
  try {
    sink.begin?.();
    const interfaces = interfacesIn(answer['interfaces']);
    const chosen = chosenIn(answer['chosen'], interfaces.length);
    const seconds = request.seconds ?? Number(answer['seconds']);
    const snap = Number(answer['snap']);
    const sinceNs = BigInt(Date.now()) * 1_000_000n - BigInt(seconds) * NS_PER_SECOND;
    const recipient = recipientFor(
      request,
      sink,
      { filter, count: request.count, sinceNs, interfaces: chosen },
      interfaces,
    );
    if (request.file !== undefined)
      await sink.write([fileHeader(), ...interfaces.map((each) => interfaceDescription(each, snap, osName()))]);
    const room = new Uint8Array(COPY_BYTES);
    const { start, end: now, isSound } = ring.extent;
    if (!isSound) throw brokenRing();
    const end = Math.min(now, Number(answer['end']));
    const checker = new BlockChecker(interfaces.length);
    const view = new DataView(room.buffer);
    let overwritten = 0;
    for (let at = start; at < end && !ending.aborted; await turn()) {
      const { length, next } = ring.copy(at, end, room);
      overwritten += Math.min(next, end) - at - length;
      checker.check(view, 0, length, length);
      if (length > 0 && !(await recipient.take(room.subarray(0, length)))) break;
      at = next;
    }
    writeErrorLine(summary(recipient.passed, undefined, overwritten));
  } finally {
    ring.close();
  }
}

function recipientFor(
  { file }: CaptureRequest,
  sink: CaptureSink,
  choice: Choice,
  interfaces: readonly CapturedInterface[] = [],
): Recipient {
  if (file === undefined) return new LineRecipient(sink, choice, interfaces);
  const isWhole = choice.filter === undefined && choice.count === undefined && choice.sinceNs === undefined;
  return isWhole ? new WholeRecipient(sink) : new FilteringRecipient(sink, choice);
}

function selectionOf({ name, link }: Place): CaptureSelection {
  return { link, switch: isPath(name) ? name : undefined };
}

/** Which of the interfaces are meant; `undefined` for all. */
function chosenIn(value: unknown, all: number): ReadonlySet<number> | undefined {
  if (!Array.isArray(value) || value.length >= all) return undefined;
  return new Set(value.filter((index) => typeof index === 'number'));
}

function namesOf(interfaces: readonly CapturedInterface[]): string {
  return interfaces.length === 0 ? 'what may come' : told(interfaces.map(({ name }) => name));
}

function told(names: readonly string[]): string {
  const more = names.length - NAMES_TOLD;
  return printable(`${names.slice(0, NAMES_TOLD).join(', ')}${more > 0 ? ` and ${more} more` : ''}`);
}

/** Says what could not be captured. */
function warnOfMissed(names: readonly string[]): void {
  if (names.length === 0) return;
  writeErrorLine(`vde capture: not captured: ${told(names)}: too many captures look there already, or memory is short`);
}

function fileHeader(): Uint8Array {
  return sectionHeader({ hardware: machine(), os: osName(), application: `vde capture ${version()}` });
}

function summary(passed: number | undefined, counts: ReaderCounts | undefined, overwritten = 0): string {
  const captured = passed ?? counts?.recorded ?? 0;
  const all = counts !== undefined && captured !== counts.recorded ? ` of ${counts.recorded}` : '';
  const leftOut = counts?.leftOut ?? 0;
  const lost =
    leftOut === 0
      ? ''
      : `; ${leftOut} left out, because they came faster than they were written (see --buffer-size, --snap)`;
  const unread = counts?.unread ?? 0;
  const unwritten = unread === 0 ? '' : `; ${unread} not written`;
  const gone =
    overwritten === 0 ? '' : `; ${Math.ceil(overwritten / KIBIBYTE)} KiB were overwritten before they were read`;
  return `vde capture: ${captured}${all} frame${captured === 1 && all === '' ? '' : 's'}${lost}${unwritten}${gone}`;
}

function yieldToFrames(): void {
  try {
    setPriority(NICE);
  } catch {
    // It goes on as others do.
  }
}
