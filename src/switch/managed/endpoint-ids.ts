/** Numbers for those who are at ports: small, and not given again soon, so that who closes one closes that one. */
import { refusal } from './refusal.ts';

/** How many may be at the ports of a managed switch together. */
export const MAX_ENDPOINTS = 4096;
const HIGHEST_ID = 9999;

export class EndpointIds {
  readonly #used = new Set<number>();
  #next = 1;

  /** @throws VdensError `ENOSPC` */
  take(): number {
    if (this.#used.size >= MAX_ENDPOINTS) {
      throw refusal('ENOSPC', `${MAX_ENDPOINTS} are at the ports`, 'Close some of them: port/epclose');
    }
    while (this.#used.has(this.#next)) this.#advance();
    const id = this.#next;
    this.#used.add(id);
    this.#advance();
    return id;
  }

  /** Whether there is none left. */
  get isExhausted(): boolean {
    return this.#used.size >= MAX_ENDPOINTS;
  }

  give(id: number): void {
    this.#used.delete(id);
  }

  #advance(): void {
    this.#next = (this.#next % HIGHEST_ID) + 1;
  }
}
