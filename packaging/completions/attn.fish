# fish completion for attn: options are those that 'attn help VERB' lists
set -l verbs check run compile explain info verify bench fmt dump help
complete -c attn -n "not __fish_seen_subcommand_from $verbs" -f -a "$verbs"
complete -c attn -n "__fish_seen_subcommand_from help" -f -a "$verbs"
complete -c attn -n "string match -q -- '-*' (commandline -ct)" -f -a "(command attn help (commandline -opc)[2] 2>/dev/null | string match -rg '^  (-[-a-z]*=?)')"
