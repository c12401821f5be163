/** What happens in a switch, as the lines of `debug/add`. */
import type { DebugCategory } from '../../console/debug.ts';
import type { SwitchEvent } from '../managed/managed-switch-api.ts';
import { digits } from './arguments.ts';

/** In the order of `debug/list`. */
export const SWITCH_CATEGORIES: readonly DebugCategory[] = [
  { path: 'hash/+', tag: '011', help: 'a station is known' },
  { path: 'hash/-', tag: '012', help: 'a station is forgotten' },
  { path: 'fstp/status', tag: '044', help: 'frames may pass a port, or may not' },
  { path: 'fstp/root', tag: '045', help: 'another root, or another way to it' },
  { path: 'fstp/+', tag: '041', help: 'a port takes part in the tree' },
  { path: 'fstp/-', tag: '042', help: 'a port takes part no more' },
  { path: 'port/+', tag: '021', help: 'a port is new' },
  { path: 'port/-', tag: '022', help: 'the last one left a port' },
  { path: 'port/descr', tag: '023', help: 'what somebody at a port says of itself' },
  { path: 'port/ep/+', tag: '031', help: 'somebody came to a port' },
  { path: 'port/ep/-', tag: '032', help: 'somebody left a port' },
];

/** The category of an event, and its text. */
export function describeEvent(event: SwitchEvent): { readonly path: string; readonly text: string } {
  switch (event.kind) {
    case 'port-added':
      return { path: 'port/+', text: digits(event.port, 2) };
    case 'port-removed':
      return { path: 'port/-', text: digits(event.port, 2) };
    case 'endpoint-added':
      return { path: 'port/ep/+', text: endpoint(event) };
    case 'endpoint-removed':
      return { path: 'port/ep/-', text: endpoint(event) };
    case 'description':
      return { path: 'port/descr', text: `${endpoint(event)} -> "${event.text}"` };
    case 'station-learned':
      return { path: 'hash/+', text: station(event) };
    case 'station-forgotten':
      return { path: 'hash/-', text: station(event) };
    case 'tree-port-active':
      return { path: 'fstp/+', text: treePort(event) };
    case 'tree-port-inactive':
      return { path: 'fstp/-', text: treePort(event) };
    case 'tree-status':
      return { path: 'fstp/status', text: `${treePort(event)} ${event.status}` };
    case 'tree-root':
      return { path: 'fstp/root', text: `${treePort({ ...event, port: event.rootPort })} -> ${event.root}` };
  }
}

function endpoint({ port, endpoint }: { readonly port: number; readonly endpoint: number }): string {
  return `Port ${digits(port, 2)} FD ${`${endpoint}`.padStart(2)}`;
}

/** Here, and only here, the originals print the lower byte of the VLAN first. */
function station({ mac, vlan, port }: { readonly mac: string; readonly vlan: number; readonly port: number }): string {
  return `${mac} VLAN ${hexByte(vlan)}:${hexByte(vlan >> 8)} Port ${port}`;
}

function treePort({ port, vlan }: { readonly port: number; readonly vlan: number }): string {
  return `Port ${digits(port, 4)} VLAN ${hexByte(vlan >> 8)}:${hexByte(vlan)}`;
}

function hexByte(value: number): string {
  return (value & 0xff).toString(16).padStart(2, '0');
}
