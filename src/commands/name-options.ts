/** The options that say what things are called: the host's name, that of the namespace, and who resolves names. */
import { isProcessName, NAME_RULE } from '../control/process-name.ts';
import { VdensError } from '../errors.ts';
import { formatIp, parseIp } from '../net/ip.ts';
import type { ParsedOptions } from './parse-options.ts';

/** What /etc/resolv.conf is to be. */
export type ResolvConf =
  | { readonly kind: 'file'; readonly path: string }
  /** In the order given; none at all is an empty file. */
  | { readonly kind: 'addresses'; readonly addresses: readonly string[] };

type Values = ParsedOptions['values'];

/** The kernel's limit: __NEW_UTS_LEN. */
const MAX_HOSTNAME_BYTES = 64;

/**
 * The host name, when one is asked for.
 *
 * @throws {VdensError} `ERR_USAGE` when it is not a name of hostname(7), or too long.
 */
export function readHostname(values: Values): string | undefined {
  const name = values.get('hostname')?.at(-1);
  if (name === undefined) return undefined;
  if (Buffer.byteLength(name) > MAX_HOSTNAME_BYTES) {
    const message = `--hostname: "${name}" has ${Buffer.byteLength(name)} bytes, the kernel takes at most ${MAX_HOSTNAME_BYTES}. Shorten it`;
    throw new VdensError('ERR_USAGE', message, { value: name });
  }
  const isLabel = (label: string): boolean => /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i.test(label) && label.length <= 63;
  if (!name.split('.').every(isLabel)) {
    const remedy = 'Use letters, digits and hyphens, with dots between parts, for example web1.example';
    throw new VdensError('ERR_USAGE', `--hostname: "${name}" is not a host name. ${remedy}`, { value: name });
  }
  return name;
}

/**
 * What the namespace is to be called, when it is to be.
 *
 * @throws {VdensError} `ERR_USAGE` when that is no name.
 */
export function readName(values: Values): string | undefined {
  const name = values.get('name')?.at(-1);
  if (name === undefined || isProcessName(name)) return name;
  const message = `--name: "${name}" is not a name, which is ${NAME_RULE}. Write, for example, --name web`;
  throw new VdensError('ERR_USAGE', message, { value: name });
}

/**
 * What /etc/resolv.conf is to be: `-R` before `-r` before the variables in the same order. A variable or a
 * value that is set but empty asks for an empty file.
 *
 * @throws {VdensError} `ERR_USAGE` when something in a list is not an address.
 */
export function readResolvConf(
  values: Values,
  env: Readonly<Record<string, string | undefined>>,
): ResolvConf | undefined {
  const { VDE_RESOLVADDR, VDE_RESOLVCONF } = env;
  const sources = [
    [addressList, values.get('resolvaddr')?.at(-1), '--resolvaddr'],
    [file, values.get('resolvconf')?.at(-1), '--resolvconf'],
    [addressList, VDE_RESOLVADDR, 'VDE_RESOLVADDR'],
    [file, VDE_RESOLVCONF, 'VDE_RESOLVCONF'],
  ] as const;
  for (const [read, value, source] of sources) {
    if (value !== undefined) return read(value, source);
  }
  return undefined;
}

function file(path: string): ResolvConf {
  return path === '' ? { kind: 'addresses', addresses: [] } : { kind: 'file', path };
}

function addressList(list: string, source: string): ResolvConf {
  const words = list.split(',').filter((word) => word !== '');
  return { kind: 'addresses', addresses: words.map((word) => addressOf(word, source)) };
}

function addressOf(word: string, source: string): string {
  try {
    return formatIp(parseIp(word));
  } catch (error) {
    if (!(error instanceof VdensError)) throw error;
    throw new VdensError(error.code, `${source}: ${error.message}`, { value: word, cause: error });
  }
}
