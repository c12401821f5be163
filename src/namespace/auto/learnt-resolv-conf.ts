/** The resolv.conf of a namespace that learns its name servers: written in place, again when they change. */
import { ftruncateSync, writeSync } from 'node:fs';
import { formatIp, IPV6_LENGTH, isLinkLocalIp } from '../../net/ip.ts';
import { native } from '../../system/native.ts';

/** Servers that are written, and domains; resolvers use 3 and 6 (resolv.conf(5)). */
const MAX_NAME_SERVERS = 8;
const MAX_SEARCH_DOMAINS = 16;

/** What is known of names on one interface. */
export interface NameSource {
  readonly interfaceName: string;
  /** In order of preference. */
  readonly nameServers: readonly Uint8Array[];
  readonly searchDomains: readonly string[];
}

/** The text of a resolv.conf: what several interfaces know, each thing once, in order. */
export function formatResolvConf(sources: readonly NameSource[]): string {
  const servers = new Set(
    sources.flatMap(({ interfaceName, nameServers }) => nameServers.map((address) => zoned(address, interfaceName))),
  );
  const domains = new Set(sources.flatMap(({ searchDomains }) => searchDomains));
  const search = [...domains].slice(0, MAX_SEARCH_DOMAINS).join(' ');
  const lines = [...servers].slice(0, MAX_NAME_SERVERS).map((server) => `nameserver ${server}\n`);
  return `${search === '' ? '' : `search ${search}\n`}${lines.join('')}`;
}

/** A link-local address is one only together with the link. */
function zoned(address: Uint8Array, interfaceName: string): string {
  const text = formatIp(address);
  return address.length === IPV6_LENGTH && isLinkLocalIp(address) ? `${text}%${interfaceName}` : text;
}

/** The file, by a descriptor that the helper opened inside. */
export class LearntResolvConf {
  readonly #fd: number;
  #text = '';
  #closed = false;

  /** Takes over the descriptor of an empty file. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  get text(): string {
    return this.#text;
  }

  /** Puts a text in place of the last; whoever reads meanwhile sees whole lines. */
  write(text: string): void {
    if (this.#closed || text === this.#text) return;
    // Blank lines over the rest of a longer one, in the same write: no half of the old is ever seen.
    const padded = text.padEnd(this.#text.length, '\n');
    try {
      writeSync(this.#fd, padded, 0);
      ftruncateSync(this.#fd, text.length);
      this.#text = text;
    } catch {
      // The namespace is gone, or its file system is full: the next change tries again.
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    native.closeDescriptor(this.#fd);
  }
}
