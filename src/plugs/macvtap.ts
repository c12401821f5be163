/**
 * `macvtap://NAME`: a macvtap interface that somebody made beside a real one (ip-link(8)): what is sent to it leaves on
 * the wire of that one, with the macvtap's own MAC address.
 *
 * Its frames pass a device of its own, `/dev/tapINDEX`, which udev makes when the interface is made, for root.
 */
import { closeSync, constants as fsConstants, openSync, readdirSync } from 'node:fs';
import { VdensError } from '../errors.ts';
import { errnoName, native } from '../system/native.ts';
import { requireInterfaceName } from './host-tap.ts';
import { TapPlug } from './tap.ts';

/**
 * Attaches to the macvtap interface `name`.
 *
 * @throws VdensError `ERR_TAP` when there is none of that name, or its device is not ours to open
 */
export function openMacvtap(label: string, name: string): TapPlug {
  requireInterfaceName(label, name, 'macvtap0');
  const index = native.interfaceIndex(name);
  if (index < 0) {
    const remedy = `Make one: ip link add link eth0 name ${name} type macvtap mode bridge; ip link set ${name} up`;
    const message = `${label}: there is no interface "${name}" here (${errnoName(index)}). ${remedy}`;
    throw new VdensError('ERR_TAP', message, { value: name, errno: errnoName(index) });
  }
  const device = `/dev/tap${index}`;
  const fd = openDevice(label, name, device);
  const result = native.tapAttach(fd, name);
  if (result === 0) return new TapPlug(fd, label);
  closeSync(fd);
  const errno = errnoName(result);
  const message = `${label}: ${device} is not that of a macvtap that can be attached to (TUNSETIFF: ${errno}). Is ${name} one? See: ip -details link show ${name}`;
  throw new VdensError('ERR_TAP', message, { value: name, errno, syscall: 'ioctl' });
}

function openDevice(label: string, name: string, device: string): number {
  try {
    return openSync(device, fsConstants.O_RDWR | fsConstants.O_NONBLOCK);
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? '';
    const message = `${label}: cannot open ${device}, the device of ${name} (${errno}). ${deviceRemedy(errno, name, device)}`;
    throw new VdensError('ERR_TAP', message, { value: device, errno, syscall: 'open', cause });
  }
}

function deviceRemedy(errno: string, name: string, device: string): string {
  if (errno === 'EACCES' || errno === 'EPERM') return `Let root give it to you: chown "$(id -u)" ${device}`;
  if (errno === 'EBUSY') return 'Another program has it open';
  if (errno !== 'ENOENT' && errno !== 'ENXIO' && errno !== 'ENODEV') return `To see what it is: ls -l ${device}`;
  if (isOtherKind(name)) {
    return `${name} is no macvtap. Make one: ip link add link eth0 name macvtap0 type macvtap mode bridge; ip link set macvtap0 up`;
  }
  const numbers = `$(tr : ' ' </sys/class/net/${name}/tap*/dev)`;
  return `Is ${name} a macvtap? Then, where no udev makes its device, root can: mknod ${device} c ${numbers}`;
}

/** Whether the interface is known to be none: such have a `tapINDEX` in sysfs(5), which may be that of another network. */
function isOtherKind(name: string): boolean {
  try {
    return !readdirSync(`/sys/class/net/${name}`).some((entry) => entry.startsWith('tap'));
  } catch {
    return false;
  }
}
