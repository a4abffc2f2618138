# bash completion for attn
_attn() {
  local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]:-} options
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "check run compile explain info verify bench fmt dump help --version --help" -- "$cur")
    return
  fi
  if [ "$verb" = help ]; then
    mapfile -t COMPREPLY < <(compgen -W "check run compile explain info verify bench fmt dump" -- "$cur")
    return
  fi
  if [[ $cur == -* ]]; then
    # what 'attn help VERB' lists, so that both say the same
    options=$("${COMP_WORDS[0]}" help "$verb" 2>/dev/null | sed -n 's/^  \(-[-a-z]*=\{0,1\}\).*/\1/p')
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    [[ ${COMPREPLY[0]:-} == *= ]] && compopt -o nospace
    return
  fi
  mapfile -t COMPREPLY < <(compgen -f -X '!*.@(attn|npy)' -- "${cur#*=}"; compgen -d -S / -- "${cur#*=}")
}
complete -o filenames -F _attn attn
