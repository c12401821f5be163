/** The options of `vde forward`, and what a command line of it asks for. */
import { type ForwardSpec, readForward } from './forward-spec.ts';
import type { CommandTable } from './option-table.ts';
import { parseOptions, usage } from './parse-options.ts';

const ACTIONS = ['add', 'list', 'remove'] as const;

export const VDE_FORWARD_TABLE: CommandTable = {
  name: 'vde forward',
  summary: 'Ports of the host that lead to guests of a gateway: adds, lists and removes them while it runs',
  synopsis: ['name [list]', 'name [add] forward ...', 'name remove number|forward ...'],
  options: [
    { long: 'remove', short: 'r', help: 'remove these instead of adding them' },
    { long: 'udp', short: 'u', help: 'of UDP, where a forward does not say it; of TCP otherwise' },
    { long: 'gateway', short: 'g', argument: 'NETWORK', help: 'which one, where a process has several' },
    { long: 'json', help: 'print the forwards as JSON' },
    { long: 'help', short: 'h', help: 'print this' },
  ],
  operands: [
    { name: 'name', values: 'running' },
    { name: 'forward', values: ACTIONS, repeatable: true },
  ],
  isPermuted: true,
  notes: [
    'The name is that of a vdens with slirp://, its pid, or the directory of a switch that it serves.',
    'A forward is [[HOST-ADDRESS:]HOST-PORT:][GUEST-ADDRESS:]GUEST-PORT[/udp]: 8080:80, 127.0.0.1:8080:80.',
  ],
};

/** What a command line of `vde forward` asks for. */
export type ForwardAction = { readonly action: 'help'; readonly table: CommandTable } | ForwardJob;

/** What is to be done with the forwards of a process. */
export interface ForwardJob {
  readonly action: 'forward';
  /** Of a process, as it was typed. */
  readonly name: string;
  readonly does: (typeof ACTIONS)[number];
  readonly forwards: readonly ForwardSpec[];
  /** Where a forward does not say it. Absent: TCP, and of those that there are, either. */
  readonly protocol: 'udp' | undefined;
  readonly gateway: string | undefined;
  readonly json: boolean;
}

/** @throws VdensError `ERR_USAGE`, or `ERR_ADDRESS` for an address that is none */
export function interpretForward(argv: readonly string[]): ForwardAction {
  const { values, operands } = parseOptions(VDE_FORWARD_TABLE, argv);
  if (values.has('help')) return { action: 'help', table: VDE_FORWARD_TABLE };
  const [name = '', ...rest] = operands;
  if (name === '') throw usage(VDE_FORWARD_TABLE, 'a name is missing, for example: vde forward web 8080:80', '');
  const word = ACTIONS.find((known) => known === rest[0]);
  const words = word === undefined ? rest : rest.slice(1);
  const removes = values.has('remove');
  if (removes && word !== undefined && word !== 'remove') {
    throw usage(VDE_FORWARD_TABLE, `--remove and ${word} do not go together. Leave one of them out`, word);
  }
  const does = removes ? 'remove' : (word ?? (words.length === 0 ? 'list' : 'add'));
  if (does === 'list' && words.length > 0) {
    throw usage(VDE_FORWARD_TABLE, `"${words[0]}" is one word too many: list takes no forward`, words[0] ?? '');
  }
  if (does !== 'list' && words.length === 0) {
    throw usage(VDE_FORWARD_TABLE, `which one? For example: vde forward ${name} ${does} 8080:80`, '');
  }
  return {
    action: 'forward',
    name,
    does,
    forwards: words.map(readForward),
    protocol: values.has('udp') ? 'udp' : undefined,
    gateway: values.get('gateway')?.at(-1),
    json: values.has('json'),
  };
}
