/** `hash/…`: which station is behind which port. */
import { type ConsoleCommand, refusal } from '../../console/command.ts';
import type { HashSettings, ManagedSwitchApi, Station } from '../managed/managed-switch-api.ts';
import { digits, numberOf, oneNumber, wordsOf } from './arguments.ts';

/** Six bytes in hex, with colons or dots between them. */
const MAC = /^[0-9a-f]{1,2}(?:([:.])[0-9a-f]{1,2})(?:\1[0-9a-f]{1,2}){4}$/i;

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
    set('hash/setgcint', 'set how often silent stations are looked for, in seconds', (gcInterval) => ({ gcInterval })),
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
        const vlan = number === undefined ? 0 : numberOf(number);
        const found = managed.stations.find((station) => station.mac === mac && station.vlan === vlan);
        if (found === undefined) throw refusal('ENODEV', 'this station is not known', word);
        call.print(stationLine(found));
      },
    },
  ];
}

function macOf(word: string): string {
  if (!MAC.test(word)) throw refusal('EINVAL', 'this is not an Ethernet address', word);
  return word
    .toLowerCase()
    .split(/[:.]/)
    .map((byte) => byte.padStart(2, '0'))
    .join(':');
}

function stationLine({ bucket, mac, vlan, port, ageSeconds }: Station): string {
  const age = Math.floor(ageSeconds);
  return `Hash: ${digits(bucket, 4)} Addr: ${mac} VLAN ${digits(vlan, 4)} to port: ${digits(port, 3)}  age ${age} secs`;
}
