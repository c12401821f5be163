/** `hash/…`: which station is behind which port. */
import { type ConsoleCommand, commandError } from '../../console/command.ts';
import { formatMac, parseConsoleMac } from '../../net/mac.ts';
import type { HashSettings, ManagedSwitchApi, Station } from '../managed/managed-switch-api.ts';
import { digits, oneNumber, typedNumber, wordsOf } from './arguments.ts';

export function hashCommands(managed: ManagedSwitchApi): readonly ConsoleCommand[] {
  const set = (path: string, help: string, settings: (value: number) => Partial<HashSettings>): ConsoleCommand => ({
    path,
    syntax: 'N',
    help,
    run: ({ argument }) => managed.setHash(settings(oneNumber(argument))),
  });
  return [
    { path: 'hash', help: 'STATIONS' },
    {
      path: 'hash/showinfo',
      help: 'show the size of the table and its times',
      hasData: true,
      run: (call) => {
        const { size, gcInterval, expire, minPersistence } = managed.hash;
        call.print(`Hash size ${size}`);
        call.print(`GC interval ${gcInterval} secs`);
        call.print(`GC expire ${expire} secs`);
        call.print(`Min persistence ${minPersistence} secs`);
      },
    },
    set('hash/setsize', 'set the size of the table, which forgets all stations', (size) => ({ size })),
    set('hash/setgcint', 'has no effect: silent stations are forgotten in time', (gcInterval) => ({ gcInterval })),
    set('hash/setexpire', 'set how long a silent station is known, in seconds', (expire) => ({ expire })),
    set('hash/setminper', 'set how long a station stays at its port, in seconds', (minPersistence) => ({
      minPersistence,
    })),
    {
      path: 'hash/print',
      help: 'show the stations',
      hasData: true,
      run: (call) => {
        for (const station of managed.stations) call.print(stationLine(station));
      },
    },
    {
      path: 'hash/find',
      syntax: 'MAC [VLAN]',
      help: 'show one station',
      hasData: true,
      run: (call) => {
        const [word = '', number] = wordsOf(call.argument, 1);
        const mac = macOf(word);
        const vlan = number === undefined ? 0 : typedNumber(number);
        const found = managed.findStation(mac, vlan);
        if (found === undefined) throw commandError('ENODEV', 'this station is not known', word);
        call.print(stationLine(found));
      },
    },
  ];
}

function macOf(word: string): string {
  const mac = parseConsoleMac(word);
  if (mac === undefined) throw commandError('EINVAL', 'this is not an Ethernet address', word);
  return formatMac(mac);
}

function stationLine({ bucket, mac, vlan, port, ageSeconds }: Station): string {
  const age = Math.floor(ageSeconds);
  return `Hash: ${digits(bucket, 4)} Addr: ${mac} VLAN ${digits(vlan, 4)} to port: ${digits(port, 3)}  age ${age} secs`;
}
