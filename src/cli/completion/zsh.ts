import { expectedCases } from "./shell-cases.js";
import type { CommandWords } from "./words.js";

/** Completion of what follows `gamut`, for zsh: to be sourced, or as a file `_gamut` on the fpath. */
export function zshScript(words: readonly CommandWords[]): string {
  return `#compdef gamut
# zsh completion for gamut: source <(gamut completion zsh), after compinit

# Sets commands, options and valued (options that take a value) of the command $1.
_gamut_words() {
  commands=() options=() valued=()
  case "$1" in
${words.map(wordsCase).join("\n")}
  esac
}

# Sets choices and files: what is expected at the command $1 as value of its option $2; as argument if $2 is empty.
_gamut_expected() {
  choices=() files=""
  case "$1|$2" in
${expectedCases(words, "(", ")")}
  esac
}

_gamut() {
  local at="" wants="" word="" files=""
  local -a commands options valued choices
  _gamut_words ""
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ -n $wants ]]; then
      wants=""
    elif [[ $word == -* ]]; then
      (( \${valued[(Ie)$word]} )) && wants=$word
    elif (( \${commands[(I)$word:*]} )); then
      at=\${at:+$at }$word
      _gamut_words "$at"
    fi
  done
  if [[ -z $wants && $PREFIX == --*=* ]]; then
    wants=\${PREFIX%%=*}
    compset -P '*='
  fi
  _gamut_expected "$at" "$wants"
  if [[ -z $wants && $PREFIX == -* ]]; then
    _describe -o option options
  elif [[ -z $wants ]] && (( $#commands )); then
    _describe command commands
  elif (( $#choices )); then
    compadd -a choices
  elif [[ -n $files ]]; then
    _files
  fi
}

if [[ $funcstack[1] == _gamut ]]; then _gamut "$@"; else compdef _gamut gamut; fi
`;
}

function wordsCase({ path, commands, options }: CommandWords): string {
  const children = commands.map(({ name, description }) => entry(name, description));
  const flags = options.flatMap(({ names, description }) => names.map((name) => entry(name, description)));
  const valued = options.filter(({ value }) => value !== null).flatMap(({ names }) => names);
  return `    "${path}") commands=(${children.join(" ")}) options=(${flags.join(" ")}) valued=(${valued.join(" ")}) ;;`;
}

/** For `_describe`: name and description, parted by a colon. */
function entry(name: string, description: string): string {
  return `'${name}:${description.replace(/'/g, "'\\''").replace(/:/g, "\\:")}'`;
}
