#compdef sidestep
# Completion of sidestep for zsh, as a file _sidestep in a directory of fpath, or after compinit:
#   source <(sidestep completion zsh)
_sidestep() {
  local -a lines candidates
  local line directive
  lines=("${(@f)$(sidestep __complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  directive=$lines[-1]
  for line in "${(@)lines[1,-2]}"; do
    # _describe cuts at the first colon.
    candidates+=("${${line%%$'\t'*}//:/\\:}${${(M)line#*$'\t'}:+:${line#*$'\t'}}")
  done
  [[ $words[CURRENT] == --*=* ]] && compset -P '*='
  (( $#candidates )) && _describe value candidates
  case $directive in
    :0) _files ;;
    :16) _files -/ ;;
  esac
}
if [[ $funcstack[1] == _sidestep ]]; then _sidestep; else compdef _sidestep sidestep; fi
