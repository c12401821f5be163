/**
 * Reads what processes say: they may be of another version than we are, so everything is looked at before it is taken
 * for what it should be. Keys that are not known are left out.
 */
import { isObject, type JsonObject } from '../control/message.ts';

/** Reads one value; throws when it is of another kind ({@link tryRead}). */
export type Reader<T> = (value: unknown) => T;
/** The readers of all that an object has. */
type Shape<T> = { readonly [Key in keyof T]-?: Reader<T[Key]> };

class Mismatch extends Error {}

/** What of an object is not there. */
const ABSENT: unique symbol = Symbol('a key that is left out');

/** @throws to say that a value is of another kind */
export function mismatch(): never {
  throw new Mismatch();
}

/** What the reader makes of it; `undefined` when it is of another kind. */
export function tryRead<T>(read: Reader<T>, value: unknown): T | undefined {
  try {
    return read(value);
  } catch (error) {
    if (error instanceof Mismatch) return undefined;
    throw error;
  }
}

export const text: Reader<string> = (value) => (typeof value === 'string' ? value : mismatch());
export const number: Reader<number> = (value) => (typeof value === 'number' ? value : mismatch());
export const flag: Reader<boolean> = (value) => (typeof value === 'boolean' ? value : mismatch());

/** One of these words. */
export function oneOf<T extends string>(...words: readonly T[]): Reader<T> {
  return (value) => words.find((word) => word === value) ?? mismatch();
}

/** A key of an object that may be left out. */
export function optional<T>(read: Reader<T>): Reader<T | undefined> {
  return (value) => (value === undefined ? (ABSENT as never) : read(value));
}

export function fieldsOf(value: unknown): JsonObject {
  return isObject(value) ? value : mismatch();
}

export function object<T>(shape: Shape<T>): Reader<T> {
  const readers = Object.entries(shape) as [string, Reader<unknown>][];
  return (value) => {
    const fields = fieldsOf(value);
    const entries = readers.map(([key, read]) => [key, read(fields[key])] as const);
    return Object.fromEntries(entries.filter(([, one]) => one !== ABSENT)) as T;
  };
}

export function listOf<T>(read: Reader<T>): Reader<readonly T[]> {
  return (value) => (Array.isArray(value) ? value.map((one) => read(one)) : mismatch());
}

export function recordOf<T>(read: Reader<T>): Reader<Readonly<Record<string, T>>> {
  return (value) => Object.fromEntries(Object.entries(fieldsOf(value)).map(([key, one]) => [key, read(one)]));
}
