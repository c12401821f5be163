/** `fstp/…`: the spanning tree. */
import type { ConsoleCommand } from '../../console/command.ts';
import type { ManagedSwitchApi, TreeStatus } from '../managed/managed-switch-api.ts';
import { digits, forVlan, numbersOf, switchOf } from './arguments.ts';

export function treeCommands(managed: ManagedSwitchApi): readonly ConsoleCommand[] {
  return [
    { path: 'fstp', help: 'SPANNING TREE' },
    {
      path: 'fstp/showinfo',
      help: 'show whether there is one, and who we are in it',
      hasData: true,
      run: (call) => {
        const { mac, priority } = managed;
        call.print(`MAC ${mac} Priority ${priority} (0x${priority.toString(16)})`);
        call.print(`FSTP=${managed.hasSpanningTree}`);
      },
    },
    {
      path: 'fstp/setfstp',
      syntax: '0/1',
      help: '1: with a spanning tree, 0: without',
      hasData: true,
      run: (call) => {
        const isOn = switchOf(call.argument);
        // Not an error, as the originals have it.
        if (managed.isHub) call.print('a hub has no spanning tree');
        else managed.setSpanningTree(isOn);
      },
    },
    {
      path: 'fstp/setedge',
      syntax: 'VLAN PORT 1/0',
      help: 'whether no switch is behind the port: 1 so, 0 not so',
      run: ({ argument }) => {
        const [vlan = 0, port = 0, isEdge = 0] = numbersOf(argument, 3);
        managed.setEdge(vlan, port, isEdge !== 0);
      },
    },
    {
      path: 'fstp/bonus',
      syntax: 'VLAN PORT COST',
      help: 'make the way by the port cheaper',
      run: ({ argument }) => {
        const [vlan = 0, port = 0, cost = 0] = numbersOf(argument, 3);
        managed.setBonus(vlan, port, cost);
      },
    },
    {
      path: 'fstp/print',
      syntax: '[N]',
      help: 'show the tree of each VLAN, or of VLAN N',
      hasData: true,
      run: (call) => {
        for (const status of forVlan(managed.treeStatus(), call.argument, ({ vlan }) => vlan)) {
          for (const line of treeLines(status, managed.hasSpanningTree)) call.print(line);
        }
      },
    },
  ];
}

function treeLines(status: TreeStatus, isOn: boolean): readonly string[] {
  const { vlan, isRoot, root, designated, rootPort, cost, age, bonusPort, bonusCost, ports } = status;
  const state = `${isRoot ? 'ROOTSWITCH' : ''} ${isOn ? '' : 'FSTP IS DISABLED'}`;
  return [
    `FST DATA VLAN ${digits(vlan, 4)} ${state}`,
    ` ++ root ${root}`,
    ` ++ designated ${designated}`,
    ` ++ rootport ${digits(rootPort, 4)} cost ${cost} age ${Math.floor(age)} bonusport ${digits(bonusPort, 4)} bonuscost ${bonusCost}`,
    ...ports.map(
      (port) =>
        ` -- Port ${digits(port.number, 4)} tagged=${Number(port.isTagged)} portcost=${port.cost} role=${port.role}`,
    ),
  ];
}
