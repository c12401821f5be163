/** `vlan/…`: which port is in which VLAN. */
import type { ConsoleCommand } from '../../console/command.ts';
import type { ManagedSwitchApi } from '../managed/managed-switch-api.ts';
import { digits, forVlan, numbersOf, oneNumber } from './arguments.ts';

export function vlanCommands(managed: ManagedSwitchApi): readonly ConsoleCommand[] {
  const print = (path: string, help: string, withInactive: boolean): ConsoleCommand => ({
    path,
    syntax: '[N]',
    help,
    hasData: true,
    run: (call) => {
      for (const { number, ports } of forVlan(managed.vlans, call.argument, (vlan) => vlan.number)) {
        call.print(`VLAN ${digits(number, 4)}`);
        for (const port of ports.filter(({ isActive }) => withInactive || isActive)) {
          const flags = `tagged=${Number(port.isTagged)} active=${Number(port.isActive)}`;
          call.print(` -- Port ${digits(port.number, 4)} ${flags} status=${port.status}`);
        }
      }
    },
  });
  return [
    { path: 'vlan', help: 'VLANS' },
    {
      path: 'vlan/create',
      syntax: 'N',
      help: 'create VLAN N',
      run: ({ argument }) => managed.createVlan(oneNumber(argument)),
    },
    {
      path: 'vlan/remove',
      syntax: 'N',
      help: 'remove VLAN N, in which no port has frames without a tag',
      run: ({ argument }) => managed.removeVlan(oneNumber(argument)),
    },
    {
      path: 'vlan/addport',
      syntax: 'N PORT',
      help: 'let frames with the tag N pass the port',
      run: ({ argument }) => {
        const [vlan = 0, port = 0] = numbersOf(argument, 2);
        managed.addToVlan(vlan, port);
      },
    },
    {
      path: 'vlan/delport',
      syntax: 'N PORT',
      help: 'let frames with the tag N pass the port no more',
      run: ({ argument }) => {
        const [vlan = 0, port = 0] = numbersOf(argument, 2);
        managed.removeFromVlan(vlan, port);
      },
    },
    print('vlan/print', 'show the VLANs and their ports where somebody is', false),
    print('vlan/allprint', 'show the VLANs and all of their ports', true),
  ];
}
