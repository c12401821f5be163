/** The arguments of the `launch` helper, as native/launch/launch.c lists them. */

/** A file of the private /etc. */
export type EtcFile =
  /** The file consists of this text; a writable one comes out as a descriptor, too, so that it can be changed. */
  | { readonly name: string; readonly text: string; readonly isWritable?: boolean }
  /** The host's file with this text appended. */
  | { readonly name: string; readonly append: string }
  /** This file is mounted in its place. */
  | { readonly name: string; readonly path: string };

/** Interfaces of one namespace: their descriptors and one more have to fit into a message (unix(7)). */
export const MAX_INTERFACES = 252;

/** What kind of namespaces to make. */
export interface LaunchOptions {
  /** Names of the TAP interfaces, at most 15 bytes each. */
  readonly taps: readonly string[];
  /** The user is uid 0 inside. */
  readonly root: boolean;
  /** A mount namespace besides, even if nothing is mounted by us. */
  readonly mounts: boolean;
  readonly hostname: string | undefined;
  readonly etc: readonly EtcFile[];
  /** Of which TAPs a socket is wanted that hears DHCP and router advertisements, in this order. @defaultValue none */
  readonly listening?: readonly string[];
  /** What to write below /proc/sys/net, by path, where that is allowed. @defaultValue nothing */
  readonly sysctls?: Readonly<Record<string, string>>;
}

/** Arguments of `launch` that say which namespaces to make. */
export function namespaceArguments(options: LaunchOptions): string[] {
  const args = options.taps.flatMap((name) => ['-t', name]);
  for (const name of options.listening ?? []) args.push('-d', name);
  for (const [path, value] of Object.entries(options.sysctls ?? {})) args.push('-y', `${path}=${value}`);
  if (options.root) args.push('-0');
  if (options.mounts) args.push('-m');
  if (options.hostname !== undefined) args.push('-n', options.hostname);
  for (const file of options.etc) {
    if ('text' in file) args.push(file.isWritable === true ? '-o' : '-w', `${file.name}=${file.text}`);
    else if ('append' in file) args.push('-a', `${file.name}=${file.append}`);
    else args.push('-b', `${file.name}=${file.path}`);
  }
  return args;
}

/**
 * Arguments of `launch` that say what to run, with which ambient capabilities and ignoring which signals
 * (both bit masks).
 */
export function commandArguments(capabilities: bigint, ignored: bigint, command: readonly string[]): string[] {
  return ['-c', capabilities.toString(16), '-i', ignored.toString(16), '--', ...command];
}
