/** A command's table as a completion for bash(1). It needs bash 4.2 and nothing else. */
import { GENERATED, NO_NETWORK, networkSchemes, shellWord } from './completion.ts';
import { commandFunctions, functionName, placeFunctions, type ShellDialect } from './completion-functions.ts';
import type { CommandTable, ValueKind } from './option-table.ts';

const BASH: ShellDialect = {
  index: 'cword',
  typed: 'cur',
  leaveName: `        add=$word=
        cur=\${cur#"$add"}`,
  action,
  oneOf: (_, offers) => `_vdens_one_of ${offers.map(({ name }) => name).join(' ')}`,
};

/** The completion of a command, as the text of its file. */
export function bashCompletion(table: CommandTable): string {
  const name = functionName(table.name);
  return `# ${GENERATED}

. "$(dirname -- "$(readlink -f -- "\${BASH_SOURCE[0]}")")/_vdens_common"

${commandFunctions(table, BASH)}
${name}_begin() {
    local words=() raws=() seen=() valued=() separators=() cword=0 at=0 cur= cut= add= place= value=
    _vdens_words
    ${name} 1
}

complete -F ${name}_begin ${table.name}
`;
}

/** What the completions of all commands share, as the text of a file beside theirs. */
export function bashCommon(): string {
  const helpers = HELPERS.replace('@NETWORKS@', networkCases()).replace('@SCHEMES@', schemeWords());
  return `# ${GENERATED}
${placeFunctions(BASH)}${helpers}`;
}

function action(values: ValueKind | undefined): string | undefined {
  if (values === undefined) return undefined;
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
  return actions[values];
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
