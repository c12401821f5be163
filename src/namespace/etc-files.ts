/** Which files of /etc a namespace has of its own: who resolves names, and its own name. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { VdensError } from '../errors.ts';
import type { EtcFile } from '../system/launch-arguments.ts';

/** What concerns names; see the namespace's options of the same names. */
export interface NameOptions {
  readonly hostname?: string | undefined;
  readonly nameServers?: readonly string[] | undefined;
  readonly resolvConf?: string | undefined;
  /** Whether resolv.conf is to say what will be learnt, when nothing else was asked for. */
  readonly learnsNames?: boolean;
}

/**
 * The files that a namespace needs for its names; none when it needs none.
 *
 * @throws VdensError `ERR_NAMESPACE` when the file to see as resolv.conf cannot be read
 */
export function etcFiles({ hostname, nameServers, resolvConf, learnsNames }: NameOptions): EtcFile[] {
  const files: EtcFile[] = [];
  if (nameServers !== undefined) {
    files.push({ name: 'resolv.conf', text: nameServers.map((address) => `nameserver ${address}\n`).join('') });
  } else if (resolvConf === '') {
    files.push({ name: 'resolv.conf', text: '' });
  } else if (resolvConf !== undefined) {
    checkReadable(resolvConf);
    files.push({ name: 'resolv.conf', path: resolvConf });
  } else if (learnsNames === true) {
    files.push({ name: 'resolv.conf', text: '', isWritable: true });
  }
  if (hostname !== undefined) files.push({ name: 'hosts', append: hostsLine(hostname) });
  return files;
}

/** hosts(5): a name of the host itself, and its first part as an alias. */
function hostsLine(hostname: string): string {
  const [first] = hostname.split('.');
  return `127.0.1.1\t${hostname}${first === hostname ? '' : ` ${first}`}\n`;
}

/** Mounted it would be even if nobody can read it, and names would then silently not resolve. */
function checkReadable(path: string): void {
  let problem: string | undefined;
  try {
    const fd = openSync(path, 'r');
    if (fstatSync(fd).isDirectory()) problem = 'EISDIR';
    closeSync(fd);
  } catch (error) {
    problem = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  }
  if (problem === undefined) return;
  const message = `resolv.conf: cannot read "${path}" (${problem}). Name a file that you can read, or name servers: -R 9.9.9.9`;
  throw new VdensError('ERR_NAMESPACE', message, { value: path, errno: problem });
}
