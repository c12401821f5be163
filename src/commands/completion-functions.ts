/** What the completions of bash and zsh have in common: where the cursor is, and what a command offers there. */
import {
  commandOperand,
  isChain,
  type Offer,
  operandVariants,
  shellWord,
  spellings,
  subcommandWord,
  valuedSpellings,
} from './completion.ts';
import { type CommandTable, type OperandSpec, shownOptions, type ValueKind } from './option-table.ts';

/** What differs between the two. */
export interface ShellDialect {
  /** Variables: the index of the word at the cursor, and that word. */
  readonly index: string;
  readonly typed: string;
  /** Lines that leave `NAME=` out of the word at the cursor; NAME is in `$word`. */
  readonly leaveName: string;
  /** The command that offers values, which are called `what`. None: there are none to offer. */
  action(values: ValueKind | undefined, what: string): string | undefined;
  /** The command that offers these words. */
  oneOf(what: 'option' | 'command', offers: readonly Offer[]): string;
}

/** Of a command: `_vdens_for_vde-switch`. */
export function functionName(name: string): string {
  return `_vdens_for_${name.replaceAll(' ', '-')}`;
}

/** Functions for a command and its subcommands, which take the index of the first word behind its name. */
export function commandFunctions(table: CommandTable, shell: ShellDialect): string {
  return [...(table.subcommands ?? []), table].map((each) => commandFunction(each, shell)).join('\n');
}

function commandFunction(table: CommandTable, shell: ShellDialect): string {
  const options = shownOptions(table).flatMap((option) =>
    spellings(option, table).map((name) => ({ name, summary: option.help })),
  );
  return `${functionName(table.name)}() {
    valued=(${valuedSpellings(table).map(shellWord).join(' ')})
    separators=(${(table.commandAfter ?? []).map(shellWord).join(' ')})
    _vdens_place "$1" ${placeArguments(table)}
    case $place in
        option) ${shell.oneOf('option', options)} ;;
${valueCases(table, shell)}${commandCase(table, shell)}    esac
${operandCases(table, shell)}}
`;
}

/** For _vdens_place: what its comment says. */
function placeArguments(table: CommandTable): string {
  const variants = operandVariants(table).map(({ spellings: names, operands }) => {
    return shellWord(`${names.join(' ')}=${table.subcommands === undefined ? commandOperand(operands) : 1}`);
  });
  return [table.isPermuted === true ? 1 : 0, isChain(table) ? 1 : 0, ...variants].join(' ');
}

function valueCases(table: CommandTable, shell: ShellDialect): string {
  return table.options
    .flatMap((option) => {
      const action = option.argument === undefined ? undefined : shell.action(option.values, option.argument);
      const patterns = spellings(option, table).map((name) => `value${name}`);
      return action === undefined ? [] : [`        ${patterns.join(' | ')}) ${action} ;;\n`];
    })
    .join('');
}

function commandCase({ subcommands }: CommandTable, { index, oneOf }: ShellDialect): string {
  if (subcommands === undefined) return '        command) _vdens_command ;;\n';
  const offers = subcommands.map((table) => ({ name: subcommandWord(table), summary: table.summary }));
  const cases = subcommands.map(
    (table) => `                ${subcommandWord(table)}) ${functionName(table.name)} $(( at + 1 )) ;;`,
  );
  return `        command)
            if (( at == ${index} )); then
                ${oneOf('command', offers)}
                return
            fi
            case \${words[at]} in
${cases.join('\n')}
            esac
            ;;
`;
}

function operandCases(table: CommandTable, shell: ShellDialect): string {
  const variants = operandVariants(table).map(({ spellings: names, operands }) => {
    const rows = operands.flatMap((operand, index) => operandCase(operand, index + 1, shell));
    const body = rows.length === 0 ? '' : `    case $place in\n${rows.join('\n')}\n    esac\n`;
    return names.length === 0 ? body : `    if _vdens_saw ${names.join(' ')}; then\n${body}    return\n    fi\n`;
  });
  return variants.join('');
}

function operandCase({ name, values, repeatable = false }: OperandSpec, number: number, shell: ShellDialect): string[] {
  const action = values === 'command' ? undefined : shell.action(values, name);
  return action === undefined ? [] : [`        operand${repeatable ? '*' : number}) ${action} ;;`];
}

/** The functions that find out where the cursor is. */
export function placeFunctions({ index, typed, leaveName }: ShellDialect): string {
  return `
_vdens_among() {
    local wanted=$1 word
    shift
    for word; do [[ $word == "$wanted" ]] && return 0; done
    return 1
}

# Whether one of these options was given.
_vdens_saw() {
    local word
    for word; do _vdens_among "$word" "\${seen[@]}" && return 0; done
    return 1
}

# Whether the word after this option is its value; then its name is in "value".
_vdens_takes_next() {
    local word=$1
    local -i k
    value=$word
    seen+=("$word")
    _vdens_among "$word" "\${valued[@]}" && return 0
    [[ $word == --* ]] && return 1
    for (( k = 1; k < \${#word}; k++ )); do
        value=-\${word:$k:1}
        seen+=("$value")
        if _vdens_among "$value" "\${valued[@]}"; then
            (( k == \${#word} - 1 ))
            return
        fi
    done
    return 1
}

# What is completed: "option", "value--name", "operand3", or "command", which begins at the word "at".
# FIRST PERMUTED CHAIN VARIANT...: the first word that counts; whether options stand among operands; whether there are
# commands after each separator; and 'OPTION OPTION=N': with one of these, operand N begins a command.
_vdens_place() {
    local -i i=$1 permuted=$2 chain=$3 ended=0 n=0 first=0
    shift 3
    local word
    place= seen=()
    while (( i < ${index} )); do
        word=\${words[i]//[\\\\\\"\\']/}
        (( i += 1 ))
        if (( ! ended )) && [[ $word == -- ]]; then
            ended=1
            continue
        fi
        if (( ! ended )) && [[ $word == -?* ]]; then
            if _vdens_takes_next "$word"; then
                if (( i == ${index} )); then
                    place=value$value
                    return
                fi
                (( i += 1 ))
            fi
            continue
        fi
        if (( n > 0 || permuted || chain )) && _vdens_among "$word" "\${separators[@]}"; then
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
        for (( ; chain && i < ${index}; i++ )); do
            _vdens_among "\${words[i]//[\\\\\\"\\']/}" "\${separators[@]}" && at=$(( i + 1 ))
        done
        return
    fi
    word=\${${typed}%%=*}
    if (( ! ended )) && [[ $${typed} == -*=* ]] && _vdens_among "$word" "\${valued[@]}"; then
        place=value$word
${leaveName}
        return
    fi
    if (( ! ended )) && [[ $${typed} == -* ]]; then
        place=option
        return
    fi
    _vdens_first "$@"
    place=operand$(( n + 1 ))
    (( n + 1 == first )) && at=$${index} place=command
    return 0
}

# The operand at which a command begins, with the options that were seen.
_vdens_first() {
    local variant names
    for variant; do
        first=\${variant##*=}
        names=\${variant%=*}
        [[ -z $names ]] && return
        eval "_vdens_saw $names" && return
    done
}
`;
}
