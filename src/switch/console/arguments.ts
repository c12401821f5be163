/** Reading the arguments of commands. */
import { commandError } from '../../console/command.ts';
import type { ManagedPort, ManagedSwitchApi } from '../managed/managed-switch-api.ts';

const LARGEST = 0x7fff_ffff;

/** The words of an argument, at least so many; what follows is left to the caller. */
export function wordsOf(argument: string, atLeast: number): readonly string[] {
  const words = argument.split(/\s+/).filter(Boolean);
  if (words.length < atLeast) throw commandError('EINVAL', 'an argument is missing', argument);
  return words;
}

/**
 * A number, decimal or with `0x`. Leading zeros mean nothing, so that numbers can be typed as the console prints them.
 *
 * @throws VdensError with errno `EINVAL`
 */
export function typedNumber(word: string | undefined): number {
  const [, sign = '', digits = ''] = /^([+-]?)(0x[0-9a-f]+|\d+)$/i.exec(word ?? '') ?? [];
  const value = Number(digits === '' ? Number.NaN : digits);
  if (!(value <= LARGEST)) throw commandError('EINVAL', 'this is not a number', word);
  return sign === '-' ? -value : value;
}

/** All of the first words as numbers. */
export function numbersOf(argument: string, count: number): readonly number[] {
  return wordsOf(argument, count).slice(0, count).map(typedNumber);
}

/** One number. */
export function oneNumber(argument: string): number {
  return typedNumber(wordsOf(argument, 1)[0]);
}

/** The number, if there is one. */
export function optionalNumber(argument: string): number | undefined {
  return argument === '' ? undefined : oneNumber(argument);
}

/** 0 is no, everything else yes. */
export function switchOf(argument: string): boolean {
  return oneNumber(argument) !== 0;
}

/** The ports that are meant: all, or the one with the number. Those at which nobody is count when they are wanted. */
export function portsFor(managed: ManagedSwitchApi, argument: string, withInactive: boolean): readonly ManagedPort[] {
  const number = optionalNumber(argument);
  if (number !== undefined && (number < 0 || number > managed.numPorts)) {
    throw commandError('EINVAL', 'there are not so many ports', argument);
  }
  const ports = managed.ports.filter(
    (port) => (withInactive || port.isActive) && (number === undefined || port.number === number),
  );
  if (number !== undefined && ports.length === 0) throw commandError('ENXIO', 'there is no such port', argument);
  return ports;
}

/** Those with the number, or all without one; VLANs and what there is for each of them. */
export function forVlan<Of>(items: readonly Of[], argument: string, vlanOf: (item: Of) => number): readonly Of[] {
  const number = optionalNumber(argument);
  if (number === undefined) return items;
  if (number < 0 || number > LAST_VLAN) throw commandError('EINVAL', 'there are not so many VLANs', argument);
  const found = items.filter((item) => vlanOf(item) === number);
  if (found.length === 0) throw commandError('ENXIO', 'there is no such VLAN', argument);
  return found;
}

/** The largest number that a tag has room for (IEEE 802.1Q-2018, 9.6). */
const LAST_VLAN = 4095;

/** A number with so many digits at least. */
export function digits(value: number, count: number): string {
  return value < 0 ? `-${digits(-value, count - 1)}` : `${value}`.padStart(count, '0');
}
