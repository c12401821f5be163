/** The command that pings an address: ping(8) where it is installed, the little one of these examples elsewhere. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Three echo requests to an IPv4 address, a second apart. The status is 0 when at least one was answered. */
export function pingCommand(address: string): readonly string[] {
  const isInstalled = (process.env['PATH'] ?? '').split(delimiter).some((folder) => isExecutable(join(folder, 'ping')));
  if (isInstalled) return ['ping', '-c', '3', address];
  return [process.execPath, join(import.meta.dirname, 'little-ping.js'), address];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
