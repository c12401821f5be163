/**
 * What a process does for those who look at its frames: `capture-start` and `capture-stop`, and a recorder that is on
 * whether anybody looks or not: `record`, `record-take`.
 *
 * The frames themselves do not pass the control socket: a ring is handed to who asks (capture-ring.ts), who reads it.
 */

import { Capture, type CapturePlace } from '../capture/capture.ts';
import { shown } from '../control/message.ts';
import type { OperationContext, Operations } from '../control/operation.ts';
import { VdensError } from '../errors.ts';
import { watchPlaces } from '../plugs/capture-point.ts';
import type { Inventory, InventoryItem } from './inventory.ts';
import { isCalled } from './link-name.ts';

/** Captures of a process at a time, the recorder not among them. */
const MAX_CAPTURES = 8;
/** How often places that went, or came without saying so, are looked for, in milliseconds. */
const LOOK_MS = 100;

const MIN_RING_BYTES = 262_144;
const MAX_RING_BYTES = 1_073_741_824;
const MEBIBYTE = 1_048_576;
const MIN_SNAP = 14;
const MAX_SNAP = 262_144;
const MAX_SECONDS = 86_400;

type Request = Readonly<Record<string, unknown>>;

/** Which of the places in the process. */
interface Selection {
  /** Of a switch, a namespace …; when absent, of the namespaces when there are any, otherwise of everything. */
  readonly kind: string | undefined;
  /** Of one network, when there are several: the directory of a switch. */
  readonly network: string | undefined;
  /** By its id or its network; `any` for all. */
  readonly link: string | undefined;
}

interface Running {
  readonly capture: Capture;
  readonly selection: Selection;
}

/** The recorder. */
interface Recorder extends Running {
  readonly seconds: number;
  /** Of its ring. */
  readonly bytes: number;
}

/** How many names an error tells. */
const MAX_NAMES_TOLD = 10;

/** The operations of captures. */
export function captureOperations(inventory: Inventory): Operations {
  const captures = new Map<OperationContext['signal'], Running>();
  let recorder: Recorder | undefined;
  let endWatch: (() => void) | undefined;

  const look = ({ capture, selection }: Running): void => capture.look(placesOf(inventory, selection));
  const lookAtAll = (): void => {
    for (const running of captures.values()) look(running);
    if (recorder !== undefined) look(recorder);
  };
  const schedule = (): void => {
    if (captures.size === 0 && recorder === undefined) {
      endWatch?.();
      endWatch = undefined;
    } else if (endWatch === undefined) {
      const timer = setInterval(lookAtAll, LOOK_MS).unref();
      const end = watchPlaces(lookAtAll);
      endWatch = () => {
        clearInterval(timer);
        end();
      };
    }
  };
  const stop = (signal: OperationContext['signal']): object => {
    const running = captures.get(signal);
    if (running === undefined) return { recorded: 0, leftOut: 0, missed: [] };
    captures.delete(signal);
    const { counts, missed } = running.capture;
    running.capture.stop();
    schedule();
    return { ...counts, missed };
  };
  const endRecorder = (): void => {
    recorder?.capture.stop();
    recorder = undefined;
    schedule();
  };

  return {
    'capture-start': (request, context) => {
      const selection = selectionIn(request);
      requirePlaces(inventory, selection);
      if (captures.has(context.signal)) throw usage('this connection has a capture already');
      if (captures.size >= MAX_CAPTURES)
        throw usage(`${MAX_CAPTURES} captures look here already, which is all there can be. End one of them`);
      const capture = new Capture({
        mode: 'stream',
        bytes: numberIn(request, 'bytes', MIN_RING_BYTES, MAX_RING_BYTES),
        snap: numberIn(request, 'snap', MIN_SNAP, MAX_SNAP),
      });
      const running = { capture, selection };
      captures.set(context.signal, running);
      context.signal.addEventListener('abort', () => stop(context.signal), { once: true });
      look(running);
      schedule();
      context.send({ event: 'capture-ring' }, [capture.ring.memory, capture.ring.notice]);
      return { interfaces: capture.interfaces, missed: capture.missed };
    },
    'capture-stop': (_request, context) => stop(context.signal),
    record: (request) => {
      let selection = selectionIn(request);
      const seconds = numberIn(request, 'seconds', 0, MAX_SECONDS);
      if (seconds === 0) {
        const wasOn = recorder !== undefined;
        if (recorder !== undefined) requireRecorded(recorder, selection);
        endRecorder();
        return { isOn: false, wasOn };
      }
      requirePlaces(inventory, selection);
      selection = { ...selection, kind: kindOf(inventory, selection) };
      const bytes = numberIn(request, 'bytes', MIN_RING_BYTES, MAX_RING_BYTES);
      const snap = numberIn(request, 'snap', MIN_SNAP, MAX_SNAP);
      if (recorder !== undefined) {
        if (!isSame(recorder, { selection, bytes, snap })) throw usage(another(recorder));
        // What is there already stays.
        recorder = { ...recorder, seconds };
        return { isOn: true, seconds, bytes, interfaces: recorder.capture.interfaces };
      }
      const capture = new Capture({ mode: 'recorder', bytes, snap });
      recorder = { capture, selection, seconds, bytes };
      look(recorder);
      schedule();
      return { isOn: true, seconds, bytes, interfaces: capture.interfaces, missed: capture.missed };
    },
    'record-take': (request, context) => {
      if (recorder === undefined) throw usage('nothing is recorded here. Turn it on: vde capture NAME --ring 30');
      const chosen = chosenOf(recorder, selectionIn(request));
      const { capture, seconds } = recorder;
      context.send({ event: 'capture-ring' }, [capture.ring.memory, capture.ring.notice]);
      // Those that come later are not among the interfaces.
      return { interfaces: capture.interfaces, chosen, seconds, snap: capture.snap, end: capture.ring.extent.end };
    },
  };
}

/** Of which kind what is selected is at present; `undefined` for all. */
function kindOf({ items }: Inventory, { kind, link }: Selection): string | undefined {
  if (kind !== undefined || link !== undefined) return kind;
  return items.some((item) => item.kind === 'namespace' && item.links().length > 0) ? 'namespace' : undefined;
}

function itemsOf(inventory: Inventory, selection: Selection): readonly InventoryItem[] {
  const kind = kindOf(inventory, selection);
  return kind === undefined ? inventory.items : inventory.items.filter((item) => item.kind === kind);
}

function placesOf(inventory: Inventory, selection: Selection): readonly CapturePlace[] {
  const found = itemsOf(inventory, selection).flatMap((item) => item.links());
  const { link, network: wanted } = selection;
  const ofNetwork = wanted === undefined ? [] : found.filter(({ network }) => network === wanted);
  const links = ofNetwork.length > 0 ? ofNetwork : found;
  if (link === undefined || link === 'any') return links;
  return links.filter(({ id, network }) => isCalled(id, link) || network === link);
}

/** Whether what is asked for is what is recorded already, in the same way. */
function isSame(
  { selection, bytes, capture }: Recorder,
  asked: { readonly selection: Selection; readonly bytes: number; readonly snap: number },
): boolean {
  const { kind, network, link } = asked.selection;
  const isSelected = selection.kind === kind && selection.network === network && selection.link === link;
  return isSelected && bytes === asked.bytes && capture.snap === asked.snap;
}

function another(recorder: Recorder): string {
  const { capture, seconds, bytes } = recorder;
  const room = `${bytes / MEBIBYTE} MiB`;
  const how = `${seconds} s, ${room}, ${capture.snap} bytes of a frame`;
  return `there is a recording of ${recordedAt(recorder)} already (${how}). vde capture NAME --ring 0 ends it`;
}

/** What is recorded, for people. */
function recordedAt({ selection: { link, network, kind }, capture: { interfaces } }: Recorder): string {
  if (link !== undefined && link !== 'any') return link;
  if (network !== undefined) return `the ${kind ?? 'network'} ${network}`;
  const names = interfaces.map(({ name }) => name);
  return names.length === 0 ? 'all there is' : told(names);
}

function told(names: readonly string[]): string {
  const more = names.length - MAX_NAMES_TOLD;
  return `${names.slice(0, MAX_NAMES_TOLD).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** @throws VdensError `ERR_USAGE` when something else is recorded than what is asked about */
function requireRecorded(recorder: Recorder, { kind, network, link }: Selection): void {
  const { selection } = recorder;
  const isOther = (own: string | undefined, asked: string | undefined): boolean =>
    asked !== undefined && own !== undefined && asked !== own;
  const isLinkOther = selection.link !== 'any' && link !== 'any' && isOther(selection.link, link);
  // A switch that is not asked for by its directory is recorded as all else.
  if (!isLinkOther && !isOther(selection.kind, kind) && !isOther(selection.network, network)) return;
  throw usage(`what is recorded here is ${recordedAt(recorder)}, and not what was asked for`);
}

/** The numbers of the interfaces that are asked for among those that were recorded. */
function chosenOf(recorder: Recorder, asked: Selection): readonly number[] {
  requireRecorded(recorder, asked);
  const { interfaces } = recorder.capture;
  const { link } = asked;
  const all = [...interfaces.keys()];
  if (link === undefined || link === 'any' || link === recorder.selection.link) return all;
  const chosen = all.filter((index) => {
    const { name, description } = interfaces[index]!;
    return isCalled(name, link) || description === link || description.startsWith(`${link}, `);
  });
  if (chosen.length > 0) return chosen;
  const names = interfaces.map(({ name }) => name);
  throw usage(`nothing was recorded of "${link}"; there are: ${names.length === 0 ? 'none' : told(names)}`, link);
}

function requirePlaces(inventory: Inventory, selection: Selection): void {
  const { kind, link } = selection;
  const items = itemsOf(inventory, selection);
  if (items.length === 0) throw usage(`there is nothing here to capture${kind === undefined ? '' : ` (no ${kind})`}`);
  // A port may yet come; an interface does not.
  if (items.every((item) => item.kind === 'namespace' && item.links().length === 0))
    throw usage('there is nothing here to capture: the namespace has no network. Start it with one: switch:///tmp/lan');
  if (link === undefined || link === 'any' || placesOf(inventory, selection).length > 0) return;
  const ids = items.flatMap((item) => item.links().map(({ id }) => id));
  const known = ids.length === 0 ? 'there are none at present' : `there are: ${ids.join(', ')}`;
  throw usage(`there is no interface or port "${link}" here; ${known}`, link);
}

function selectionIn(request: Request): Selection {
  return { kind: textIn(request, 'kind'), network: textIn(request, 'network'), link: textIn(request, 'link') };
}

function textIn(request: Request, name: string): string | undefined {
  const value = request[name];
  if (value === undefined || typeof value === 'string') return value;
  throw usage(`"${name}" is no text`);
}

function numberIn(request: Request, name: string, least: number, most: number): number {
  const value = request[name];
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw usage(`"${name}" is no whole number from ${least} to ${most}`, shown(value));
}

function usage(message: string, value?: string): VdensError {
  return new VdensError('ERR_USAGE', message, value === undefined ? {} : { value });
}
