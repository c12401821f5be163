/** `port/…`: who is where. */
import { type ConsoleCommand, commandError } from '../../console/command.ts';
import { groupId, groupName, userId, userName } from '../../system/accounts.ts';
import type { ManagedPort, ManagedSwitchApi, PortOwner } from '../managed/managed-switch-api.ts';
import { digits, numbersOf, oneNumber, optionalNumber, portsFor, switchOf, typedNumber, wordsOf } from './arguments.ts';

/** Widths of the columns of counters. */
const PACKET_COLUMNS = 10;
const BYTE_COLUMNS = 20;
const MODULE_COLUMNS = 12;

export function portCommands(managed: ManagedSwitchApi): readonly ConsoleCommand[] {
  const print = (path: string, help: string, withInactive: boolean): ConsoleCommand => ({
    path,
    syntax: '[N]',
    help,
    hasData: true,
    run: (call) => {
      for (const port of portsFor(managed, call.argument, withInactive)) {
        for (const line of portLines(port)) call.print(line);
      }
    },
  });
  return [
    { path: 'port', help: 'PORTS' },
    {
      path: 'port/showinfo',
      help: 'how many ports there are, and whether it is a hub',
      hasData: true,
      run: (call) => {
        call.print(`Numports=${managed.numPorts}`);
        call.print(`HUB=${managed.isHub}`);
        call.print('counters=true');
      },
    },
    {
      path: 'port/setnumports',
      syntax: 'N',
      help: 'set the highest port number',
      run: ({ argument }) => managed.setNumPorts(oneNumber(argument)),
    },
    {
      path: 'port/sethub',
      syntax: '0/1',
      help: '1: every frame to every port, 0: a switch',
      run: ({ argument }) => managed.setHub(switchOf(argument)),
    },
    {
      path: 'port/setvlan',
      syntax: 'N VLAN',
      help: 'set the VLAN of frames without a tag; 4095: none',
      run: ({ argument }) => {
        const [port = 0, vlan = 0] = numbersOf(argument, 2);
        managed.setPortVlan(port, vlan);
      },
    },
    {
      path: 'port/createauto',
      help: 'create the first port that is free (inactive, not allocatable)',
      hasData: true,
      run: (call) => call.print(`Port ${digits(managed.createPort(), 4)}`),
    },
    {
      path: 'port/create',
      syntax: 'N',
      help: 'create port N (inactive, not allocatable); 0: the first that is free',
      run: ({ argument }) => {
        const number = oneNumber(argument);
        managed.createPort(number === 0 ? undefined : number);
      },
    },
    {
      path: 'port/remove',
      syntax: 'N',
      help: 'remove port N, where nobody is',
      run: ({ argument }) => managed.removePort(oneNumber(argument)),
    },
    {
      path: 'port/allocatable',
      syntax: 'N 0/1',
      help: 'whether port N is given to whoever asks for any: 1 yes, 0 no',
      run: ({ argument }) => {
        const [port = 0, isAllocatable = 0] = numbersOf(argument, 2);
        managed.setAllocatable(port, isAllocatable !== 0);
      },
    },
    {
      path: 'port/setuser',
      syntax: 'N user',
      help: 'keep port N for a user; NONE: for nobody in particular',
      run: ({ argument }) => {
        const { port, owner } = portAndOwner(argument, userId);
        managed.setPortUser(port, owner);
      },
    },
    {
      path: 'port/setgroup',
      syntax: 'N user',
      help: 'keep port N for a group; NONE: for nobody in particular',
      run: ({ argument }) => {
        const { port, owner } = portAndOwner(argument, groupId);
        managed.setPortGroup(port, owner);
      },
    },
    {
      path: 'port/epclose',
      syntax: 'N ID',
      help: 'let go of endpoint ID at port N',
      run: ({ argument }) => {
        const [port = 0, endpoint = 0] = numbersOf(argument, 2);
        managed.closeEndpoint(port, endpoint);
      },
    },
    {
      path: 'port/resetcounter',
      syntax: '[N]',
      help: 'count from zero, at port N or at all',
      run: ({ argument }) => managed.resetCounters(optionalNumber(argument)),
    },
    print('port/print', 'show the ports where somebody is', false),
    print('port/allprint', 'show all ports', true),
  ];
}

function portAndOwner(
  argument: string,
  idOf: (name: string) => number | undefined,
): { readonly port: number; readonly owner: PortOwner } {
  const [number, name = '', extra] = wordsOf(argument, 2);
  const port = typedNumber(number);
  if (extra !== undefined) throw commandError('EINVAL', 'a name is one word', argument);
  if (name === 'NONE' || name === 'ANY') return { port, owner: name === 'NONE' ? 'none' : 'any' };
  const owner = idOf(name);
  if (owner === undefined) throw commandError('EINVAL', 'nobody has this name', name);
  return { port, owner };
}

/** A port, its counters, and who is at it. */
function portLines(port: ManagedPort): readonly string[] {
  const { number, untaggedVlan, isActive, isAllocatable, currentUser, counters, endpoints } = port;
  const state = `${isActive ? '' : 'IN'}ACTIVE - ${isAllocatable ? '' : 'NOT '}Unnamed Allocatable`;
  const current = currentUser === undefined ? 'NONE' : userName(currentUser);
  const owners = `(User: ${ownerName(port.user, userName)} - Group: ${ownerName(port.group, groupName)})`;
  return [
    `Port ${digits(number, 4)} untagged_vlan=${digits(untaggedVlan, 4)} ${state}`,
    ` Current User: ${current} Access Control: ${owners}`,
    // What came into the switch is what the port sent.
    ` IN:  ${counts(counters.sent)}`,
    ` OUT: ${counts(counters.received)}`,
    ...endpoints.map(
      ({ id, module, description }) =>
        `  -- endpoint ID ${digits(id, 4)} module ${module.padEnd(MODULE_COLUMNS)}: ${description}`,
    ),
  ];
}

function counts({ frames, bytes }: { readonly frames: number; readonly bytes: number }): string {
  return `pkts ${`${frames}`.padStart(PACKET_COLUMNS)}          bytes ${`${bytes}`.padStart(BYTE_COLUMNS)}`;
}

function ownerName(owner: PortOwner, nameOf: (id: number) => string): string {
  return typeof owner === 'number' ? nameOf(owner) : 'NONE';
}
