/** A command's table as a completion for zsh(1), with its completion system (zshcompsys(1)). */
import {
  commandOperand,
  GENERATED,
  isChain,
  NO_NETWORK,
  networkSchemes,
  offered,
  operandVariants,
  shellWord,
  spellings,
  subcommandWord,
  valuedSpellings,
} from './completion.ts';
import { type CommandTable, type OperandSpec, shownOptions, type ValueKind } from './option-table.ts';

/** The completion of a command, as the text of its file. */
export function zshCompletion(table: CommandTable): string {
  const functions = [...(table.subcommands ?? []), table].map(commandFunction);
  return `#compdef ${table.name}
# ${GENERATED}
${HELPERS.replace('@NETWORKS@', networkCases()).replace('@SCHEMES@', schemeRows())}
${functions.join('\n')}
local -a seen valued separators
local at=0 place value
${functionName(table.name)} 2
`;
}

function functionName(name: string): string {
  return `_vdens_for_${name.replaceAll(' ', '-')}`;
}

function commandFunction(table: CommandTable): string {
  const options = shownOptions(table).flatMap((option) => offered(option).map((name) => described(name, option.help)));
  return `${functionName(table.name)}() {
    valued=(${valuedSpellings(table).map(shellWord).join(' ')})
    separators=(${(table.commandAfter ?? []).map(shellWord).join(' ')})
    _vdens_place $1 ${placeArguments(table)}
    case $place in
        option) _vdens_one_of option ${options.join(' ')} ;;
${valueCases(table)}${commandCase(table)}    esac
${operandCases(table)}}
`;
}

/** One word for _describe: what is offered, and what it is. */
function described(name: string, help: string): string {
  return shellWord(`${name.replaceAll('\\', '\\\\').replaceAll(':', '\\:')}:${help}`);
}

function placeArguments(table: CommandTable): string {
  if (table.subcommands !== undefined) return "0 0 '=1'";
  const variants = operandVariants(table).map(({ spellings: names, operands }) => {
    return `'${names.join('|')}=${commandOperand(operands)}'`;
  });
  return [table.isPermuted === true ? 1 : 0, isChain(table) ? 1 : 0, ...variants].join(' ');
}

function valueCases(table: CommandTable): string {
  return table.options
    .filter(({ argument }) => argument !== undefined)
    .map((option) => {
      const patterns = spellings(option, table).map((name) => `value${name}`);
      return `        (${patterns.join('|')}) ${action(option.values, option.argument ?? '')} ;;\n`;
    })
    .join('');
}

function commandCase({ subcommands }: CommandTable): string {
  if (subcommands === undefined) return '        command) _vdens_command ;;\n';
  const rows = subcommands.map((table) => described(subcommandWord(table), table.summary));
  const cases = subcommands.map(
    (table) => `                ${subcommandWord(table)}) ${functionName(table.name)} $(( at + 1 )) ;;`,
  );
  return `        command)
            if (( at == CURRENT )); then
                _vdens_one_of command ${rows.join(' ')}
                return
            fi
            case \${words[at]} in
${cases.join('\n')}
            esac
            ;;
`;
}

function operandCases(table: CommandTable): string {
  const variants = operandVariants(table).map(({ spellings: names, operands }) => {
    const rows = operands.flatMap((operand, index) => operandCase(operand, index + 1));
    const body = rows.length === 0 ? '' : `    case $place in\n${rows.join('\n')}\n    esac\n`;
    return names.length === 0 ? body : `    if _vdens_saw ${names.join(' ')}; then\n${body}    return\n    fi\n`;
  });
  return variants.join('');
}

function operandCase({ name, values, repeatable = false }: OperandSpec, number: number): string[] {
  if (values === 'command') return [];
  return [`        operand${repeatable ? '*' : number}) ${action(values, name)} ;;`];
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
    .map(({ name, summary }) => described(`${name}://`, summary))
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
# Whether one of these options was given.
_vdens_saw() {
    local word
    for word; do (( \${seen[(Ie)$word]} )) && return 0; done
    return 1
}

# Whether the word after this option is its value; then its name is in "value".
_vdens_takes_next() {
    local word=$1
    local -i k
    value=$word
    seen+=("$word")
    (( \${valued[(Ie)$word]} )) && return 0
    [[ $word == --* ]] && return 1
    for (( k = 2; k <= \${#word}; k++ )); do
        value=-\${word[k]}
        seen+=("$value")
        if (( \${valued[(Ie)$value]} )); then
            (( k == \${#word} ))
            return
        fi
    done
    return 1
}

# What is completed: "option", "value--name", "operand3", or "command", which begins at the word "at".
# FIRST PERMUTED CHAIN VARIANT...: the first word that counts; whether options stand among operands; whether there are
# commands after each separator; and OPTION|OPTION=N: with one of these, operand N begins a command.
_vdens_place() {
    local -i i=$1 permuted=$2 chain=$3 ended=0 n=0 first=0
    shift 3
    local word
    place= seen=()
    while (( i < CURRENT )); do
        word=\${(Q)words[i]}
        (( i += 1 ))
        if (( ! ended )) && [[ $word == -- ]]; then
            ended=1
            continue
        fi
        if (( ! ended )) && [[ $word == -?* ]]; then
            if _vdens_takes_next "$word"; then
                if (( i == CURRENT )); then
                    place=value$value
                    return
                fi
                (( i += 1 ))
            fi
            continue
        fi
        if (( n > 0 || permuted || chain )) && (( \${separators[(Ie)$word]} )); then
            at=$i place=command
            break
        fi
        (( n += 1 ))
        (( permuted )) || ended=1
        _vdens_first "$@"
        if (( n == first )); then
            at=$(( i - 1 )) place=command
            break
        fi
    done
    if [[ $place == command ]]; then
        for (( ; chain && i < CURRENT; i++ )); do
            (( \${separators[(Ie)\${(Q)words[i]}]} )) && at=$(( i + 1 ))
        done
        return
    fi
    word=\${PREFIX%%=*}
    if (( ! ended )) && [[ $PREFIX == -*=* ]] && (( \${valued[(Ie)$word]} )); then
        place=value$word
        compset -P 1 '*\\='
        # What compset did is not to end with this function.
        compstate[restore]=
        return
    fi
    if (( ! ended )) && [[ $PREFIX == -* ]]; then
        place=option
        return
    fi
    _vdens_first "$@"
    place=operand$(( n + 1 ))
    (( n + 1 == first )) && at=$CURRENT place=command
    return 0
}

# The operand at which a command begins, with the options that were seen.
_vdens_first() {
    local variant names
    for variant; do
        first=\${variant##*=}
        names=\${variant%=*}
        [[ -z $names ]] && return
        _vdens_saw \${(s:|:)names} && return
    done
}

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
        rows=(${described(NO_NETWORK.name, NO_NETWORK.summary)})
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
