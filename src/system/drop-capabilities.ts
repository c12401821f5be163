/** Taking capabilities away from the program that this process becomes. */
import { VdensError } from '../errors.ts';
import { ALL_CAPABILITIES, capabilityBit } from './capabilities.ts';
import { errnoName, native } from './native.ts';

/** Bits of a set (linux/capability.h: two words of 32). */
const SET_BITS = 64;
const WORD_BITS = 32n;

/**
 * Sees to it that the program that this thread becomes (`native.becomeCommand`) has none of the capabilities of a set.
 * Those that it would not have had anyway are no error.
 *
 * - Of an ordinary user, a program gets what is in the ambient set; capabilities leave it with the inheritable set.
 * - uid 0 of a user namespace gets all that the bounding set has, whatever the others say (capabilities(7),
 *   "Capabilities and execution of programs by root"). So they have to leave the bounding set, too, which takes
 *   CAP_SETPCAP. Without that there is another way: they leave the permitted set, and with no_new_privs no execve
 *   adds to it what was not there (prctl(2), PR_SET_NO_NEW_PRIVS). The price is that programs such as sudo do not raise
 *   privileges any more, either; therefore it is the second choice.
 *
 * @throws VdensError `ERR_COMMAND` when the kernel refuses
 */
export function dropCapabilities(set: bigint): void {
  const isRoot = process.geteuid?.() === 0 || process.getuid?.() === 0;
  const isLocked = isRoot && !dropFromBoundingSet(set);
  const kept = ALL_CAPABILITIES & ~set;
  changeSets(({ effective, permitted, inheritable }) => ({
    effective: isLocked ? effective & kept : effective,
    permitted: isLocked ? permitted & kept : permitted,
    inheritable: inheritable & kept,
  }));
  forEachKnown(set, (capability) => native.dropAmbient(capability));
  if (isLocked) check(native.setNoNewPrivileges(), 'prctl');
}

/** @returns whether they are gone: it takes CAP_SETPCAP, unless they were not there */
function dropFromBoundingSet(set: bigint): boolean {
  return forEachKnown(set, (capability) => {
    const found = native.hasBounding(capability);
    return found > 0 ? native.dropBounding(capability) : found;
  });
}

/** Calls a function for each capability of the set that the kernel knows, until one fails: its last is before EINVAL. */
function forEachKnown(set: bigint, act: (capability: number) => number): boolean {
  for (let capability = 0; capability < SET_BITS; capability += 1) {
    if ((set & capabilityBit(capability)) === 0n) continue;
    const result = act(capability);
    if (result >= 0) continue;
    return errnoName(result) === 'EINVAL';
  }
  return true;
}

interface Sets {
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
}

/** Where capget(2) puts the two words of each set. */
const LAYOUT: Readonly<Record<keyof Sets, readonly [low: number, high: number]>> = {
  effective: [0, 3],
  permitted: [1, 4],
  inheritable: [2, 5],
};

function changeSets(change: (sets: Sets) => Sets): void {
  const words = new Uint32Array(6);
  check(native.getCapabilities(words), 'capget');
  const read = ([low, high]: readonly [number, number]): bigint =>
    BigInt(words[low] ?? 0) | (BigInt(words[high] ?? 0) << WORD_BITS);
  const { effective, permitted, inheritable } = LAYOUT;
  const changed = change({ effective: read(effective), permitted: read(permitted), inheritable: read(inheritable) });
  for (const name of ['effective', 'permitted', 'inheritable'] as const) {
    const [low, high] = LAYOUT[name];
    words[low] = Number(BigInt.asUintN(32, changed[name]));
    words[high] = Number(changed[name] >> WORD_BITS);
  }
  check(native.setCapabilities(words), 'capset');
}

function check(result: number, syscall: string): void {
  if (result >= 0) return;
  const errno = errnoName(result);
  throw new VdensError('ERR_COMMAND', `cannot drop capabilities (${syscall}: ${errno})`, { errno, syscall });
}
