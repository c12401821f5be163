/** A command's table as a completion for fish(1). */
import {
  commandOperand,
  GENERATED,
  isChain,
  NO_NETWORK,
  networkSchemes,
  operandVariants,
  subcommandWord,
  valuedSpellings,
} from './completion.ts';
import {
  type CommandTable,
  longNames,
  type OperandSpec,
  type OptionSpec,
  shownOptions,
  type ValueKind,
} from './option-table.ts';

/** The completion of a command, as the text of its file. */
export function fishCompletion(table: CommandTable): string {
  const command = `complete -c ${table.name}`;
  const subcommands = table.subcommands ?? [];
  return `# ${GENERATED}

source (dirname (realpath (status filename)))/_vdens_common.fish

${placeFunction(table, 2)}${subcommands.map((inner) => placeFunction(inner, 3)).join('')}
${command} -f
${rules(table, command).join('\n')}
${subcommands.flatMap((inner) => rules(inner, command)).join('\n')}
`;
}

/** What the completions of all commands share, as the text of a file beside theirs. */
export function fishCommon(): string {
  return `# ${GENERATED}
${HELPERS.replace('@NETWORKS@', networkCases()).replace('@SCHEMES@', schemeRows())}`;
}

function placeName(table: CommandTable): string {
  return `__vdens_in_${table.name.replaceAll(' ', '-')}`;
}

/** Tells where in its command line the cursor is. */
function placeFunction(table: CommandTable, first: number): string {
  const variants =
    table.subcommands !== undefined
      ? ["'=1'"]
      : operandVariants(table).map(
          ({ spellings: names, operands }) => `'${names.join('|')}=${commandOperand(operands)}'`,
        );
  const list = (words: readonly string[]): string => fishWord(words.join(' '));
  const numbers = [first, table.isPermuted === true ? 1 : 0, isChain(table) ? 1 : 0].join(' ');
  const flags = `${numbers} ${list(valuedSpellings(table))} ${list(table.commandAfter ?? [])} ${variants.join(' ')}`;
  const guard = first === 2 ? '' : `    contains -- ${subcommandWord(table)} (commandline -opc)[2]; or return 1\n`;
  return `function ${placeName(table)}
${guard}    __vdens_place $argv[1] ${flags}
end
`;
}

function rules(table: CommandTable, command: string): string[] {
  const at = (place: string): string => `-n '${placeName(table)} ${place}'`;
  return [
    ...shownOptions(table).flatMap((option) => optionRules(option, table, command)),
    ...operandRules(table, command),
    ...(table.subcommands ?? []).map(
      (inner) => `${command} ${at('command1')} -a ${subcommandWord(inner)} -d ${fishWord(inner.summary)}`,
    ),
    ...(hasCommand(table) ? [`${command} ${at('command')} -xa '(__vdens_command (${placeName(table)} index))'`] : []),
  ];
}

/** Whether another command line may stand in its own. */
function hasCommand(table: CommandTable): boolean {
  if (table.subcommands !== undefined) return false;
  return table.commandAfter !== undefined || commandOperand(table.operands) > 0;
}

function optionRules(option: OptionSpec, table: CommandTable, command: string): string[] {
  const { short, argument, help, values } = option;
  const isOwn = `${placeName(table)} own`;
  const rule = (condition: string, names: readonly string[]): string => {
    const value = argument === undefined ? '' : ` ${action(values)}`;
    return `${command} -n '${condition}' ${names.join(' ')}${value} -d ${fishWord(help)}`;
  };
  const shorts = short === undefined ? [] : [`-s ${short}`];
  const longs = longNames(option).flatMap((name) =>
    table.hasSingleDash === true ? [`-l ${name}`, `-o ${name}`] : [`-l ${name}`],
  );
  if (table.hasSingleDash !== true || short === undefined || argument === undefined) {
    return [rule(isOwn, [...shorts, ...longs])];
  }
  // Of "-so", fish would make "-s o", and not offer "-sock".
  return [rule(`${isOwn}; and not string match -qr -- "^-[^-]." (commandline -ct)`, shorts), rule(isOwn, longs)];
}

function operandRules(table: CommandTable, command: string): string[] {
  if (table.subcommands !== undefined) return [];
  return operandVariants(table).flatMap(({ spellings: names, operands }) =>
    operands.flatMap((operand, index) => operandRule(operand, index + 1, names, `${command} -n '${placeName(table)}`)),
  );
}

function operandRule(operand: OperandSpec, number: number, names: readonly string[], command: string): string[] {
  if (operand.values === undefined || operand.values === 'command') return [];
  const place = operand.repeatable === true ? 'operand' : `operand${number}`;
  const condition = names.length === 0 ? '' : `; and __vdens_saw ${names.join(' ')}`;
  // Files are off already, and nothing is required.
  const values = action(operand.values).replace('-xa ', '-a ').replace('-r -F', '-F');
  return [`${command} ${place}${condition}' ${values}`];
}

function action(values: ValueKind | undefined): string {
  if (values === undefined) return '-x';
  if (typeof values !== 'string') {
    return 'list' in values ? `-xa '(__fish_append , ${values.list.join(' ')})'` : `-xa ${fishWord(values.join(' '))}`;
  }
  const actions: Readonly<Record<string, string>> = {
    file: '-r -F',
    socket: "-xa '(__vdens_sockets)'",
    directory: "-xa '(__fish_complete_directories)'",
    user: "-xa '(__fish_complete_users)'",
    group: "-xa '(__fish_complete_groups)'",
    command: "-xa '(complete -C (commandline -ct))'",
    interface: "-xa '(__fish_print_interfaces)'",
    pid: "-xa '(__fish_complete_pids)'",
    running: "-xa '(vde ls --names 2> /dev/null)'",
    network: "-xa '(__vdens_networks)'",
  };
  return actions[values] ?? '-x';
}

function schemeRows(): string {
  const rows = [...networkSchemes().map(({ name, summary }) => ({ name: `${name}://`, summary })), NO_NETWORK];
  return rows.map(({ name, summary }) => `            printf '%s\\t%s\\n' ${name} ${fishWord(summary)}`).join('\n');
}

function networkCases(): string {
  const names = (wanted: ValueKind): string =>
    networkSchemes()
      .filter(({ values }) => values === wanted)
      .map(({ name }) => `'${name}://*'`)
      .join(' ');
  return `        case ${names('directory')}
            printf '%s\\n' $before(__fish_complete_directories $rest)
        case ${names('interface')}
            printf '%s\\n' $before(__fish_print_interfaces)
        case ${names('command')} '=*'
            printf '%s\\n' $before(complete -C $rest)`;
}

/** A text as one word of fish. */
function fishWord(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

const HELPERS = `
# Whether one of these options was given; or, with -v, the one that takes the next word of the line for its value.
function __vdens_saw
    for word in (commandline -opc)[2..]
        contains -- $word $argv; and return 0
        string match -qr -- '^-[^-]' $word; or continue
        for letter in (string split '' -- (string sub -s 2 -- $word))
            contains -- -$letter $argv; and return 0
        end
    end
    return 1
end

# Whether the value of an option is the word after it.
function __vdens_takes_next -a word
    set -l valued $argv[2..]
    contains -- $word $valued; and return 0
    string match -qr -- '^-[^-]' $word; or return 1
    set -l letters (string split '' -- (string sub -s 2 -- $word))
    for k in (seq (count $letters))
        contains -- -$letters[$k] $valued; or continue
        test $k -eq (count $letters)
        return
    end
    return 1
end

# Whether the cursor is at WHAT: "own" (where our options may be), "operand", "operand3", "command" (in a command line
# within ours), "command1" (its first word); "index" prints where that begins. What follows, as for the other shells:
# FIRST PERMUTED CHAIN 'VALUED...' 'SEPARATOR...' OPTION|OPTION=N...
function __vdens_place -a what first permuted chain
    set -l valued (string split -n ' ' -- $argv[5])
    set -l separators (string split -n ' ' -- $argv[6])
    set -l variants $argv[7..]
    set -l tokens (commandline -opc)
    set -l last (count $tokens)
    set -l ended 0
    set -l n 0
    set -l at 0
    set -l command_at 0
    for variant in $variants
        set -l names (string split -n '|' -- (string replace -r '=\\d+$' '' -- $variant))
        set command_at (string replace -r '.*=' '' -- $variant)
        test (count $names) -eq 0; and break
        __vdens_saw $names; and break
    end
    set -l i $first
    while test $i -le $last
        set -l word $tokens[$i]
        set i (math $i + 1)
        if test $ended -eq 0; and test "$word" = --
            set ended 1
            continue
        end
        if test $ended -eq 0; and string match -qr -- '^-.' $word
            if __vdens_takes_next $word $valued
                # What is completed is the value: fish knows of which option.
                test $i -gt $last; and begin; test $what = own; return; end
                set i (math $i + 1)
            end
            continue
        end
        if test $n -gt 0 -o $permuted -eq 1 -o $chain -eq 1; and contains -- $word $separators
            set at $i
            break
        end
        set n (math $n + 1)
        test $permuted -eq 1; or set ended 1
        if test $n -eq $command_at
            set at (math $i - 1)
            break
        end
    end
    if test $at -gt 0 -a $chain -eq 1
        while test $i -le $last
            contains -- $tokens[$i] $separators; and set at (math $i + 1)
            set i (math $i + 1)
        end
    end
    if test $at -eq 0; and test (math $n + 1) -eq $command_at
        test $ended -eq 0; and string match -q -- '-*' (commandline -ct); or set at (math $last + 1)
    end
    switch $what
        case index
            echo $at
        case command
            test $at -gt 0; and not contains -- (commandline -ct) $separators
        case command1
            test $at -gt $last
        case own
            test $at -eq 0 -a $ended -eq 0; or test $at -gt $last -a $ended -eq 0
        case operand
            test $at -eq 0
        case 'operand*'
            test $at -eq 0 -a $what = operand(math $n + 1)
    end
end

# The command line that begins at a word, by its own completion.
function __vdens_command -a index
    set -l words (commandline -opc)
    set -l line (string escape -- $words[$index..]) (commandline -ct)
    complete -C "$line"
end

function __vdens_sockets
    set -l typed (commandline -ct | string replace -r '^--?[\\w-]+=' '')
    for path in $typed*
        test -S $path; and echo $path
        test -d $path; and echo $path/
    end
end

function __vdens_networks
    set -l typed (commandline -ct | string replace -r '^--?[\\w-]+=' '')
    set -l before (string match -r '^(?:\\w+://|=)' -- $typed)
    set -l rest (string replace -r '^(?:\\w+://|=)' '' -- $typed)
    switch "$typed"
@NETWORKS@
        case '*://*'
        case '*'
@SCHEMES@
            __fish_complete_directories $typed
    end
end
`;
