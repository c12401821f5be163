/**
 * `vdesl://DEVICE`: a line between two over a serial cable, a pair of modems, a pseudo-terminal.
 *
 * The framing is that of the stream: a 16-bit length, then the frame. Bytes get lost on such lines, and nothing in the
 * stream says where a frame begins; so frames do not pause, and behind a pause of 100 ms one begins. A frame that pauses
 * is broken off; behind a length that cannot be, all is passed over until there is a pause.
 *
 * The device is ours alone while it is open, and is left as it was found.
 */
import { closeSync, constants as fs, openSync } from 'node:fs';
import { VdensError } from '../errors.ts';
import { errnoName, native } from '../system/native.ts';
import type { PlugCounters } from './counters.ts';
import type { FrameReceiver, PlugEvents } from './plug.ts';
import { STALL_MS } from './sender.ts';
import { StreamPlug } from './stream.ts';

/** How long a frame may pause, in milliseconds, as the originals have it. */
export const SERIAL_GAP_MS = 100;
/** What a device has room for, and says so only when most of it has left, in bytes. */
const DEVICE_BYTES = 4096;
/** With its start and its stop bit. */
const BITS_PER_BYTE = 10;
/** Of struct termios2, with room for more. */
const SETTINGS_BYTES = 128;

/** One end of such a line. */
export class SerialPlug extends StreamPlug {
  readonly #fd: number;
  readonly #before: Uint8Array;
  #isClosed = false;

  /**
   * @param input the device, configured; from now on the plug's, as is `output`, the same once more
   * @param before what it was like
   */
  constructor(label: string, ends: SerialEnds, speed: number, counters: PlugCounters | undefined) {
    super(label, ends.input, ends.output, counters, { gapMs: SERIAL_GAP_MS, stallMs: stallMs(speed) });
    this.#fd = ends.input;
    this.#before = ends.before;
  }

  override start(receiver: FrameReceiver, events: PlugEvents = {}): void {
    super.start(receiver, { ...events, down: () => events.down?.('the line was hung up, or the device is gone') });
  }

  override async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // A device that is gone needs nothing.
    native.serialRestore(this.#fd, this.#before);
    await super.close();
  }
}

/** A device that was opened. */
interface SerialEnds {
  readonly input: number;
  readonly output: number;
  readonly before: Uint8Array;
}

/** How long a device that takes its time may take nothing: until twice what it has room for has left. */
function stallMs(speed: number): number {
  return Math.max(STALL_MS, Math.ceil((2 * DEVICE_BYTES * BITS_PER_BYTE * 1000) / speed));
}

/**
 * Opens a serial line.
 *
 * @param device its path
 * @param speed in bit/s
 * @throws VdensError `ERR_NETWORK_OPEN` when it is no terminal device, or somebody else's
 */
export function openSerialLine(label: string, device: string, speed: number, counters?: PlugCounters): SerialPlug {
  const opened: number[] = [];
  try {
    const input = open(label, device);
    opened.push(input);
    check(label, device, native.lockDescriptor(input), 'flock');
    const output = open(label, device);
    opened.push(output);
    const before = new Uint8Array(SETTINGS_BYTES);
    check(label, device, native.serialConfigure(input, speed, before), 'ioctl');
    return new SerialPlug(label, { input, output, before }, speed, counters);
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    throw error;
  }
}

function open(label: string, device: string): number {
  try {
    return openSync(device, fs.O_RDWR | fs.O_NOCTTY | fs.O_NONBLOCK);
  } catch (cause) {
    throw failure(label, device, (cause as NodeJS.ErrnoException).code ?? '', 'open');
  }
}

function check(label: string, device: string, result: number, syscall: string): void {
  if (result < 0) throw failure(label, device, errnoName(result), syscall);
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: 'Is it plugged in? Devices are called /dev/ttyS0, /dev/ttyUSB0, /dev/ttyACM0',
  EACCES: 'Whoever may use it is in its group, mostly "dialout": see ls -l, and adduser(8)',
  EBUSY: 'Another program has it for itself',
  EAGAIN: 'Another program has it for itself',
  ENOTTY: 'It is no serial device, nor another terminal',
  EINVAL: 'It does not know this speed, perhaps',
};

function failure(label: string, device: string, errno: string, syscall: string): VdensError {
  const remedy = REMEDIES[errno] ?? 'Is the device a good one?';
  const message = `${label}: cannot use ${device} as a line (${syscall}: ${errno}). ${remedy}`;
  return new VdensError('ERR_NETWORK_OPEN', message, { value: device, errno, syscall });
}
