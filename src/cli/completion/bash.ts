import { expectedCases } from "./shell-cases.js";
import type { CommandWords, OptionWords } from "./words.js";

/** Completion of what follows `gamut`, for bash 4 and later. */
export function bashScript(words: readonly CommandWords[]): string {
  return `# bash completion for gamut: source <(gamut completion bash)

# Sets commands, options and valued (options that take a value) of the command $1.
_gamut_words() {
  commands="" options="" valued=""
  case "$1" in
${words.map(wordsCase).join("\n")}
  esac
}

# Sets choices and files: what is expected at the command $1 as value of its option $2; as argument if $2 is empty.
_gamut_expected() {
  choices="" files=""
  case "$1|$2" in
${expectedCases(words, '"', '"')}
  esac
}

_gamut() {
  local current=\${COMP_WORDS[COMP_CWORD]} path="" wants="" word="" i
  local commands options valued choices files
  _gamut_words ""
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ -n $wants ]]; then
      # bash splits --level=x at the sign.
      [[ $word == "=" ]] || wants=""
    elif [[ $word == -* ]]; then
      [[ " $valued " == *" $word "* ]] && wants=$word
    elif [[ " $commands " == *" $word "* ]]; then
      path=\${path:+$path }$word
      _gamut_words "$path"
    fi
  done
  COMPREPLY=()
  [[ $current == "=" ]] && current=""
  _gamut_expected "$path" "$wants"
  if [[ -z $wants && $current == -* ]]; then
    choices=$options files=""
  elif [[ -z $wants && -n $commands ]]; then
    choices=$commands
  fi
  if [[ -n $choices ]]; then
    COMPREPLY=($(compgen -W "$choices" -- "$current"))
  elif [[ -n $files ]]; then
    compopt -o filenames 2>/dev/null
    local IFS=$'\\n'
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}

complete -F _gamut gamut
`;
}

function wordsCase({ path, commands, options }: CommandWords): string {
  const names = (which: readonly OptionWords[]): string => which.flatMap((option) => option.names).join(" ");
  const valued = options.filter(({ value }) => value !== null);
  const children = commands.map(({ name }) => name).join(" ");
  return `    "${path}") commands="${children}" options="${names(options)}" valued="${names(valued)}" ;;`;
}
