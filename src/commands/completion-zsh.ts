/** A command's table as a completion for zsh(1), with its completion system (zshcompsys(1)). */
import { GENERATED, NO_NETWORK, networkSchemes, type Offer, shellWord } from './completion.ts';
import { commandFunctions, functionName, placeFunctions, type ShellDialect } from './completion-functions.ts';
import type { CommandTable, ValueKind } from './option-table.ts';

const ZSH: ShellDialect = {
  index: 'CURRENT',
  typed: 'PREFIX',
  leaveName: `        compset -P 1 '*\\='
        # What compset did is not to end with this function.
        compstate[restore]=`,
  action,
  oneOf: (what, offers) => `_vdens_one_of ${what} ${offers.map(described).join(' ')}`,
};

/** The completion of a command, as the text of its file. */
export function zshCompletion(table: CommandTable): string {
  return `#compdef ${table.name}
# ${GENERATED}

_vdens_common

${commandFunctions(table, ZSH)}
local -a seen valued separators
local at=0 place value
${functionName(table.name)} 2
`;
}

/** What the completions of all commands share, as the text of a file beside theirs: a function that makes functions. */
export function zshCommon(): string {
  const helpers = HELPERS.replace('@NETWORKS@', networkCases()).replace('@SCHEMES@', schemeRows());
  return `#autoload
# ${GENERATED}
${placeFunctions(ZSH)}${helpers}`;
}

/** One word for _describe: what is offered, and what it is. */
function described({ name, summary }: Offer): string {
  return shellWord(`${name.replaceAll('\\', '\\\\').replaceAll(':', '\\:')}:${summary}`);
}

/** @param what - what the value is called */
function action(values: ValueKind | undefined, what: string): string {
  if (values === undefined) return `_message ${shellWord(what)}`;
  if (typeof values !== 'string') {
    return 'list' in values
      ? `_values -s , ${shellWord(what)} ${values.list.map(shellWord).join(' ')}`
      : `compadd -- ${values.map(shellWord).join(' ')}`;
  }
  const actions: Readonly<Record<string, string>> = {
    file: '_files',
    socket: "_files -g '*(=)'",
    directory: '_files -/',
    user: '_users',
    group: '_groups',
    command: '_command_names -e',
    interface: '_net_interfaces',
    pid: 'compadd -- /proc/<->(N:t)',
    running: `compadd -- \${(f)"$($words[1] ls --names 2> /dev/null)"}`,
    network: '_vdens_networks',
  };
  return actions[values] ?? ':';
}

function schemeRows(): string {
  return networkSchemes()
    .map(({ name, summary }) => described({ name: `${name}://`, summary }))
    .join(' ');
}

function networkCases(): string {
  const names = (wanted: ValueKind): string =>
    networkSchemes()
      .filter(({ values }) => values === wanted)
      .map(({ name }) => name)
      .join('|');
  return `            (${names('directory')}) _files -/ ;;
            (${names('interface')}) _net_interfaces ;;
            (${names('command')}) _command_names -e ;;`;
}

const HELPERS = `
# WHAT WORD:HELP...
_vdens_one_of() {
    local what=$1
    local -a rows
    rows=("\${@[2,-1]}")
    _describe -o -t "$what" "$what" rows
}

_vdens_networks() {
    local scheme
    local -a rows
    if [[ $PREFIX == *://* ]]; then
        scheme=\${PREFIX%%://*}
        compset -P 1 '*://'
        case $scheme in
@NETWORKS@
        esac
    elif [[ $PREFIX == '='* ]]; then
        compset -P 1 '='
        _command_names -e
    else
        rows=(@SCHEMES@)
        _describe -t networks network rows -S ''
        rows=(${described(NO_NETWORK)})
        _describe -t networks network rows
        _files -/
    fi
}

# The command line that begins at the word "at", by its own completion.
_vdens_command() {
    words=("\${(@)words[at,-1]}")
    (( CURRENT -= at - 1 ))
    _normal
}
`;
