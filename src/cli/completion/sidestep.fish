# Completion of sidestep for fish, as ~/.config/fish/completions/sidestep.fish, or:
#   sidestep completion fish | source
function __sidestep_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l lines (sidestep __complete -- $words[2..-1] "$typed" 2>/dev/null)
    # Of --output=js the answer is json, and fish wants the whole word.
    set -l assigned (string match -r -- '^--[^=]+=' "$typed")
    set -l value (string replace -r -- '^--[^=]+=' '' "$typed")
    switch "$lines[-1]"
        case :0
            set -a lines (__fish_complete_path "$value")
        case :16
            set -a lines (__fish_complete_directories "$value")
    end
    string match -v -r '^:\d+$' -- $lines | string replace -r '^' -- "$assigned"
end
complete -c sidestep -f -a '(__sidestep_complete)'
