/**
 * What the services of a gateway (ARP, DHCP and so on) see of the world: frames in and out, and a clock. None has a
 * socket, so each can be tested frame by frame.
 */
export interface ServiceDoors {
  /** Sends an Ethernet frame to the guests. */
  send(frame: Uint8Array): void;
  /** A guest's address was heard at this MAC address. */
  learn(address: Uint8Array, mac: Uint8Array): void;
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** One line for people who asked for `verbose`. */
  log(line: string): void;
}
