/** `tap://NAME`: a TAP interface of the network namespace we run in. */
import { closeSync, constants as fsConstants, openSync } from 'node:fs';
import { VdensError } from '../errors.ts';
import { errnoName, native } from '../system/native.ts';
import { TapPlug } from './tap.ts';

/**
 * Attaches to (or makes) the TAP interface `name`; an empty name lets the kernel choose.
 *
 * @throws VdensError `ERR_TAP` without the right to: CAP_NET_ADMIN, or a persistent TAP that is ours
 */
export function openHostTap(label: string, name: string): TapPlug {
  if (name !== '') requireInterfaceName(label, name, 'tap0');
  const fd = openDevice(label);
  const result = native.tapAttach(fd, name);
  if (result === 0) return new TapPlug(fd, label);
  closeSync(fd);
  const errno = errnoName(result);
  const message = `${label}: cannot attach to the interface (TUNSETIFF: ${errno}). ${remedy(errno, name)}`;
  throw new VdensError('ERR_TAP', message, { value: name, errno, syscall: 'ioctl' });
}

/**
 * @param example one that makes sense here
 * @throws VdensError `ERR_TAP` when no interface can be called that
 */
export function requireInterfaceName(label: string, name: string, example: string): void {
  if (name !== '' && Buffer.byteLength(name) <= 15 && !/[\s/]/.test(name)) return;
  const message = `${label}: "${name}" is no name for an interface: at most 15 bytes, no slash and no space, for example ${example}`;
  throw new VdensError('ERR_TAP', message, { value: name, errno: 'EINVAL' });
}

function openDevice(label: string): number {
  try {
    return openSync('/dev/net/tun', fsConstants.O_RDWR | fsConstants.O_NONBLOCK);
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? '';
    const message = `${label}: cannot open /dev/net/tun (${errno}). To see what is missing, run: vde doctor`;
    throw new VdensError('ERR_TAP', message, { errno, syscall: 'open', cause });
  }
}

function remedy(errno: string, name: string): string {
  const wanted = name === '' ? 'tap0' : name;
  if (errno === 'EBUSY') return 'Another program uses it, or it is not a TAP: choose another name';
  if (errno === 'EINVAL') return 'An interface of that name is there and is no TAP: choose another name';
  return `It takes the right to administer this network: run it inside vdens, or let root make you one with: ip tuntap add ${wanted} mode tap user $(id -un)`;
}
