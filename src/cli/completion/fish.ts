import type { CommandWords, OptionWords } from "./words.js";

/** Completion of what follows `gamut`, for fish 3 and later. */
export function fishScript(words: readonly CommandWords[]): string {
  return `# fish completion for gamut: gamut completion fish | source

# Tells the commands below the command $argv[1].
function __gamut_commands
    switch "$argv[1]"
${cases(words, ({ commands }) => commands.map(({ name }) => name))}
    end
end

# Tells which options of the command $argv[1] take a value.
function __gamut_valued
    switch "$argv[1]"
${cases(words, ({ options }) => options.filter(({ value }) => value !== null).flatMap(({ names }) => names))}
    end
end

# Whether the command $argv[1] is the one that is being written.
function __gamut_at
    set -l at ""
    set -l wants no
    set -l before (commandline -opc)
    for word in $before[2..-1]
        if test $wants = yes
            set wants no
        else if string match -q -- '-*' $word
            contains -- $word (__gamut_valued $at); and set wants yes
        else if contains -- $word (__gamut_commands $at)
            set at (string trim -- "$at $word")
        end
    end
    test "$at" = "$argv[1]"
end

complete -c gamut -f
${words.flatMap(completions).join("\n")}
`;
}

function cases(words: readonly CommandWords[], pick: (words: CommandWords) => readonly string[]): string {
  const lines = words
    .map((each) => ({ path: each.path, picked: pick(each) }))
    .filter(({ picked }) => picked.length > 0);
  return lines
    .map(({ path, picked }) => `        case ${quoted(path)}\n            printf '%s\\n' ${picked.join(" ")}`)
    .join("\n");
}

function completions({ path, commands, options, argument }: CommandWords): string[] {
  const start = `complete -c gamut -n ${quoted(`__gamut_at "${path}"`)}`;
  const lines = commands.map(({ name, description }) => `${start} -a ${name} -d ${quoted(description)}`);
  if (argument.choices.length > 0) lines.push(`${start} -a ${quoted(argument.choices.join(" "))}`);
  if (argument.files) lines.push(`${start} -F`);
  return [...lines, ...options.map((option) => `${start} ${optionFlags(option)}`)];
}

function optionFlags({ names, description, value }: OptionWords): string {
  const flags = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  if (value !== null) flags.push(value.files ? "-r -F" : "-x");
  if (value !== null && value.choices.length > 0) flags.push(`-a ${quoted(value.choices.join(" "))}`);
  return [...flags, `-d ${quoted(description)}`].join(" ");
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
