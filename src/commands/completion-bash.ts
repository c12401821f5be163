/** A command's table as a completion for bash(1). It needs bash 4.2 and nothing else. */
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
export function bashCompletion(table: CommandTable): string {
  const name = functionName(table.name);
  const functions = [...(table.subcommands ?? []), table].map(commandFunction);
  return `# ${GENERATED}
${HELPERS.replace('@NETWORKS@', networkCases()).replace('@SCHEMES@', schemeWords())}
${functions.join('\n')}
${name}_begin() {
    local words=() raws=() seen=() valued=() separators=() cword=0 at=0 cur= cut= add= place= value=
    _vdens_words
    ${name} 1
}

complete -F ${name}_begin ${table.name}
`;
}

function functionName(name: string): string {
  return `_vdens_for_${name.replaceAll(' ', '-')}`;
}

function commandFunction(table: CommandTable): string {
  const options = shownOptions(table).flatMap(offered).map(shellWord).join(' ');
  return `${functionName(table.name)}() {
    valued=(${valuedSpellings(table).map(shellWord).join(' ')})
    separators=(${(table.commandAfter ?? []).map(shellWord).join(' ')})
    _vdens_place "$1" ${placeArguments(table)}
    case $place in
        option) _vdens_one_of ${options} ;;
${valueCases(table)}${commandCase(table)}    esac
${operandCases(table)}}
`;
}

/** For _vdens_place: what its comment says. */
function placeArguments(table: CommandTable): string {
  if (table.subcommands !== undefined) return '0 0 =1';
  const variants = operandVariants(table).map(({ spellings: names, operands }) => {
    return shellWord(`${names.join('|')}=${commandOperand(operands)}`);
  });
  return [table.isPermuted === true ? 1 : 0, isChain(table) ? 1 : 0, ...variants].join(' ');
}

function valueCases(table: CommandTable): string {
  return table.options
    .filter(({ argument, values }) => argument !== undefined && values !== undefined)
    .map((option) => {
      const patterns = spellings(option, table).map((name) => `value${name}`);
      return `        ${patterns.join(' | ')}) ${action(option.values)} ;;\n`;
    })
    .join('');
}

function commandCase({ subcommands }: CommandTable): string {
  if (subcommands === undefined) return '        command) _vdens_command ;;\n';
  const cases = subcommands.map(
    (table) => `                ${subcommandWord(table)}) ${functionName(table.name)} $((at + 1)) ;;`,
  );
  return `        command)
            (( at == cword )) && _vdens_one_of ${subcommands.map(subcommandWord).join(' ')} && return
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

function operandCase({ values, repeatable = false }: OperandSpec, number: number): string[] {
  if (values === undefined || values === 'command') return [];
  return [`        operand${repeatable ? '*' : number}) ${action(values)} ;;`];
}

function action(values: ValueKind | undefined): string {
  if (values === undefined) return ':';
  if (typeof values !== 'string') {
    return 'list' in values
      ? `_vdens_list ${values.list.map(shellWord).join(' ')}`
      : `_vdens_one_of ${values.map(shellWord).join(' ')}`;
  }
  const actions: Readonly<Record<string, string>> = {
    file: '_vdens_paths file',
    socket: '_vdens_paths socket',
    directory: '_vdens_paths directory',
    user: '_vdens_generate -A user',
    group: '_vdens_generate -A group',
    command: '_vdens_generate -A command',
    interface: '_vdens_one_of $(cd /sys/class/net && echo *)',
    pid: '_vdens_one_of $(cd /proc && echo [0-9]*)',
    running: `_vdens_one_of $("\${COMP_WORDS[0]}" ls --names 2> /dev/null)`,
    network: '_vdens_networks',
  };
  return actions[values] ?? ':';
}

function schemeWords(): string {
  return [...networkSchemes().map(({ name }) => `${name}://`), NO_NETWORK.name].join(' ');
}

function networkCases(): string {
  const names = (wanted: ValueKind): string =>
    networkSchemes()
      .filter(({ values }) => values === wanted)
      .map(({ name }) => `${name}://*`)
      .join(' | ');
  return `        ${names('directory')}) _vdens_directories "\${cur#*://}" "\${cur%%://*}://" ;;
        ${names('interface')}) _vdens_one_of $(cd /sys/class/net && printf "\${cur%%://*}://%s " *) ;;
        =* | ${names('command')})
            local before=\${cur%%[!=]*}
            [[ $cur == *://* ]] && before=\${cur%%://*}://
            cur=\${cur#"$before"} add+=$before
            _vdens_generate -A command
            ;;`;
}

const HELPERS = `
# The words up to the cursor, as the command gets them: readline ends words at : and =, too.
_vdens_words() {
    local line=\${COMP_LINE:0:COMP_POINT} word blank
    local -i i
    for (( i = 0; i <= COMP_CWORD; i++ )); do
        word=\${COMP_WORDS[i]}
        blank=\${line%%[![:space:]]*}
        line=\${line#"$blank"}
        [[ $line == "$word"* ]] || word=$line
        if (( i > 0 )) && [[ -z $blank ]]; then
            words[\${#words[@]}-1]+=$word
        else
            words+=("$word") raws+=("$i")
        fi
        line=\${line#"$word"}
    done
    cword=$(( \${#words[@]} - 1 ))
    cur=\${words[cword]}
    # What readline does not replace, as it takes it for an earlier word.
    [[ -n $word && -z \${word//["$COMP_WORDBREAKS"]/} ]] && word=
    cut=\${cur%"$word"}
}

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
        value=-\${word:k:1}
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
# commands after each separator; and OPTION|OPTION=N: with one of these, operand N begins a command.
_vdens_place() {
    local -i i=$1 permuted=$2 chain=$3 ended=0 n=0 first=0
    shift 3
    local word variant
    place= seen=()
    while (( i < cword )); do
        word=\${words[i]//[\\\\\\"\\']/}
        (( i += 1 ))
        if (( ! ended )) && [[ $word == -- ]]; then
            ended=1
            continue
        fi
        if (( ! ended )) && [[ $word == -?* ]]; then
            if _vdens_takes_next "$word"; then
                if (( i == cword )); then
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
        for (( ; chain && i < cword; i++ )); do
            _vdens_among "\${words[i]//[\\\\\\"\\']/}" "\${separators[@]}" && at=$(( i + 1 ))
        done
        return
    fi
    if (( ! ended )) && [[ $cur == -*=* ]] && _vdens_among "\${cur%%=*}" "\${valued[@]}"; then
        place=value\${cur%%=*}
        add=\${cur%%=*}=
        cur=\${cur#"$add"}
        return
    fi
    if (( ! ended )) && [[ $cur == -* ]]; then
        place=option
        return
    fi
    _vdens_first "$@"
    place=operand$(( n + 1 ))
    (( n + 1 == first )) && at=$cword place=command
    return 0
}

# The operand at which a command begins, with the options that were seen.
_vdens_first() {
    local variant names=()
    for variant; do
        first=\${variant##*=}
        IFS='|' read -ra names <<< "\${variant%=*}"
        (( \${#names[@]} == 0 )) && return
        _vdens_saw "\${names[@]}" && return
    done
}

_vdens_reply() {
    local word=$add$1
    COMPREPLY+=("\${word#"$cut"}")
}

_vdens_generate() {
    local found
    while IFS= read -r found; do _vdens_reply "$found"; done < <(compgen "$@" -- "$cur")
}

_vdens_one_of() {
    local word
    for word; do [[ $word == "$cur"* ]] && _vdens_reply "$word"; done
    return 0
}

# Several words with commas between them.
_vdens_list() {
    local before= word
    [[ $cur == *,* ]] && before=\${cur%,*},
    for word; do [[ $before$word == "$cur"* && ,$before != *,$word,* ]] && _vdens_reply "$before$word"; done
    compopt -o nospace 2> /dev/null
    return 0
}

_vdens_paths() {
    local typed=\${cur//\\\\/} path
    typed=\${typed#[\\"\\']}
    compopt -o filenames 2> /dev/null
    while IFS= read -r path; do
        case $1 in
            socket) [[ -d $path || -S $path || $path == '~'* ]] || continue ;;
            directory) [[ -d $path || $path == '~'* ]] || continue ;;
        esac
        _vdens_reply "$path"
    done < <(compgen -f -- "$typed")
}

# Directories that begin so, with something before each. One of a switch is complete, others may go on.
_vdens_directories() {
    local path
    compopt -o nospace 2> /dev/null
    while IFS= read -r path; do
        [[ -S $path/ctl ]] || path+=/
        printf -v path %q "$path"
        _vdens_reply "$2$path"
    done < <(compgen -d -- "$1")
}

_vdens_networks() {
    case $cur in
@NETWORKS@
        *)
            compopt -o nospace 2> /dev/null
            _vdens_one_of @SCHEMES@
            _vdens_directories "$cur" ''
            ;;
    esac
}

# The command line that begins at the word "at", by its own completion.
_vdens_command() {
    local -i from=\${raws[at]} i
    local name=\${words[at]} spec options
    if (( at == cword )); then
        _vdens_generate -A command
        return
    fi
    local line=$COMP_LINE
    for (( i = 0; i < from; i++ )); do line=\${line#*"\${COMP_WORDS[i]}"}; done
    line=\${line#"\${line%%[![:space:]]*}"}
    COMP_POINT=$(( COMP_POINT - (\${#COMP_LINE} - \${#line}) ))
    COMP_LINE=$line
    COMP_WORDS=("\${COMP_WORDS[@]:from}")
    COMP_CWORD=$(( COMP_CWORD - from ))
    if ! complete -p -- "$name" &> /dev/null; then
        declare -F _completion_loader > /dev/null && _completion_loader "$name" &> /dev/null
    fi
    spec=$(complete -p -- "$name" 2> /dev/null || complete -p -- "\${name##*/}" 2> /dev/null)
    options=\${spec#complete}
    options=\${options% *}
    COMPREPLY=()
    if [[ $options == *' -F '* ]]; then
        spec=\${options#* -F }
        "\${spec%% *}" "$name" "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD-1]}"
        [[ $options == *nospace* ]] && compopt -o nospace 2> /dev/null
        [[ $options == *filenames* ]] && compopt -o filenames 2> /dev/null
        [[ \${#COMPREPLY[@]} -gt 0 || $options != *default* ]] && return
    elif [[ -n $options ]]; then
        eval "COMPREPLY=(\\$(compgen $options -- \\"\\$cur\\"))"
        return
    fi
    _vdens_paths file
}
`;
