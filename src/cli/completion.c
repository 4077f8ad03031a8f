/* cli/completion.c: the functions that shells load. They only hand words over; complete.c knows the rest. */
#include "cli/commands.h"

#include <string.h>

/* clang-format off */

/* bash parts words at = and : too, and replaces only the last part. It is that of macOS, 3.2, or later. */
static const char script_bash[] =
"# bash completion for dispatch: source <(dispatch completion bash)\n"
"_dispatch() {\n"
"    local -a words=()\n"
"    local i part joined=n line word kept mode\n"
"    for ((i = 1; i <= COMP_CWORD; i++)); do\n"
"        part=${COMP_WORDS[i]}\n"
"        if ((${#words[@]} > 0)) && [[ ( -n $part && -z ${part//[=:]/} ) || $joined == y ]]; then\n"
"            words[${#words[@]} - 1]+=$part\n"
"        else\n"
"            words[${#words[@]}]=$part\n"
"        fi\n"
"        [[ -n $part && -z ${part//[=:]/} ]] && joined=y || joined=n\n"
"    done\n"
"    word=${words[${#words[@]} - 1]}\n"
"    part=${COMP_WORDS[COMP_CWORD]}\n"
"    [[ -z ${part//[=:]/} ]] && part=\n"
"    kept=${word%\"$part\"}\n"
"    COMPREPLY=()\n"
"    while IFS= read -r line; do\n"
"        case $line in\n"
"            :*) mode=$line ;;\n"
"            *) line=${line%%$'\\t'*} COMPREPLY[${#COMPREPLY[@]}]=${line#\"$kept\"} ;;\n"
"        esac\n"
"    done < <(\"$1\" __complete \"${words[@]}\" 2>/dev/null)\n"
"    case $mode in\n"
"        :files | :folders)\n"
"            compopt -o filenames 2>/dev/null\n"
"            i=-f\n"
"            [[ $mode == :folders ]] && i=-d\n"
"            while IFS= read -r line; do\n"
"                COMPREPLY[${#COMPREPLY[@]}]=$line\n"
"            done < <(compgen \"$i\" -- \"$part\")\n"
"            ;;\n"
"    esac\n"
"}\n"
"complete -F _dispatch dispatch\n";

static const char script_zsh[] =
"#compdef dispatch\n"
"# zsh completion for dispatch: source <(dispatch completion zsh), or this text as _dispatch in a folder of fpath\n"
"_dispatch() {\n"
"    local -a lines names\n"
"    local line name mode=:none\n"
"    lines=(\"${(@f)$(\"$words[1]\" __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
"    for line in \"${lines[@]}\"; do\n"
"        case $line in\n"
"            '') ;;\n"
"            :*) mode=$line ;;\n"
"            *)\n"
"                name=${line%%$'\\t'*}\n"
"                name=${name//:/\\\\:}\n"
"                [[ $line == *$'\\t'* ]] && name+=\":${line#*$'\\t'}\"\n"
"                names+=(\"$name\")\n"
"                ;;\n"
"        esac\n"
"    done\n"
"    (( ${#names} )) && _describe -t dispatch dispatch names\n"
"    case $mode in\n"
"        :files) compset -P '--*='; _files ;;\n"
"        :folders) compset -P '--*='; _files -/ ;;\n"
"    esac\n"
"}\n"
"if [[ ${funcstack[1]} == _dispatch ]]; then\n"
"    _dispatch \"$@\"\n"
"else\n"
"    compdef _dispatch dispatch\n"
"fi\n";

static const char script_fish[] =
"# fish completion for dispatch: dispatch completion fish | source\n"
"function __dispatch_complete\n"
"    set -l words (commandline -opc)\n"
"    set -l current (commandline -ct)\n"
"    set -l program $words[1]\n"
"    set -e words[1]\n"
"    set -l mode\n"
"    for line in (command $program __complete $words \"$current\" 2>/dev/null)\n"
"        if string match -q ':*' -- $line\n"
"            set mode $line\n"
"        else\n"
"            printf '%s\\n' $line\n"
"        end\n"
"    end\n"
"    set -l kept (string match -r '^--[^=]*=' -- \"$current\")\n"
"    set -l path (string replace -r '^--[^=]*=' '' -- \"$current\")\n"
"    switch \"$mode\"\n"
"        case ':files'\n"
"            for name in (__fish_complete_path \"$path\")\n"
"                printf '%s\\n' \"$kept$name\"\n"
"            end\n"
"        case ':folders'\n"
"            for name in (__fish_complete_directories \"$path\")\n"
"                printf '%s\\n' \"$kept$name\"\n"
"            end\n"
"    end\n"
"end\n"
"complete -c dispatch -f -a '(__dispatch_complete)'\n";

/* clang-format on */

enum err_code completion_run(struct cli *cli, struct err *err)
{
        static const struct {
                const char *shell, *script;
        } scripts[] = {{"bash", script_bash}, {"zsh", script_zsh}, {"fish", script_fish}};
        const char *shell = cli->args.count > 0 ? cli->args.values[0] : "bash";

        for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
                if (strcmp(scripts[i].shell, shell) == 0) {
                        cli_say(cli, "%s", scripts[i].script);
                        return ERR_OK;
                }
        }
        return err_set(err, ERR_INVALID, "no completion for \"%s\": must be bash, zsh or fish", shell);
}
