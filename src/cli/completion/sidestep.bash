# Completion of sidestep for bash 4 or later:
#   source <(sidestep completion bash)
_sidestep() {
  # COMP_WORDS is cut at : and =, which stand in names of contexts and in --output=json; so the words are cut here.
  local words line directive=:4 typed colon
  read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
  [[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && words+=('')
  typed=${words[${#words[@]} - 1]}
  [[ $typed == --*=* ]] && typed=${typed#*=}
  # Readline puts what is returned in the place of what follows the last colon.
  [[ $COMP_WORDBREAKS == *:* ]] && colon=${typed%"${typed##*:}"}
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :* ]]; then directive=$line
    else line=${line%%$'\t'*} && COMPREPLY+=("${line#"$colon"}"); fi
  done < <(sidestep __complete -- "${words[@]:1}" 2>/dev/null)
  case $directive in
  :0) compopt -o default ;;
  :16) compopt -o dirnames ;;
  esac
}
complete -F _sidestep sidestep
