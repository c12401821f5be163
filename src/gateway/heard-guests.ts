/**
 * At which MAC address a guest's address was heard last, so that no address is given out that somebody holds.
 */
import { bytesKey } from './address-set.ts';

/** Addresses that are remembered; the one that was heard first is forgotten for a new one. */
export const MAX_HEARD = 4096;
/** A guest that was not heard for so long has gone. */
export const HEARD_MS = 600_000;

/** Addresses and where they were heard. */
export class HeardGuests {
  readonly #now: () => number;
  readonly #heard = new Map<string, { readonly mac: string; readonly until: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  hear(address: Uint8Array, mac: Uint8Array): void {
    const key = bytesKey(address);
    this.#heard.delete(key);
    if (this.#heard.size === MAX_HEARD) this.#forgetFirst();
    this.#heard.set(key, { mac: bytesKey(mac), until: this.#now() + HEARD_MS });
  }

  /** Whether somebody with another MAC address was heard with this address. */
  isHeldByOther(address: Uint8Array, mac: Uint8Array): boolean {
    const heard = this.#heard.get(bytesKey(address));
    return heard !== undefined && heard.until > this.#now() && heard.mac !== bytesKey(mac);
  }

  /** The guest says that it does not have the address any more. */
  forget(address: Uint8Array, mac: Uint8Array): void {
    const key = bytesKey(address);
    if (this.#heard.get(key)?.mac === bytesKey(mac)) this.#heard.delete(key);
  }

  #forgetFirst(): void {
    const [first] = this.#heard.keys();
    if (first !== undefined) this.#heard.delete(first);
  }
}
