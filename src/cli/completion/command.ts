/** `gamut completion`: what makes the Tab key know the commands. */
import { Argument, Command } from "commander";
import { withExamples } from "../examples.js";
import { writeOut } from "../output.js";
import { bashScript } from "./bash.js";
import { fishScript } from "./fish.js";
import { type CommandWords, wordsOf } from "./words.js";
import { zshScript } from "./zsh.js";

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } satisfies Record<
  string,
  (words: readonly CommandWords[]) => string
>;

export function completionCommand(): Command {
  const command = new Command("completion")
    .description("print a script that completes gamut's commands, options and values in your shell")
    .addArgument(new Argument("<shell>").choices(Object.keys(SCRIPTS)))
    .action((shell: keyof typeof SCRIPTS) => writeOut(SCRIPTS[shell](wordsOf(command.parent!))));
  return withExamples(command, [
    "gamut completion bash > ~/.local/share/bash-completion/completions/gamut",
    "gamut completion zsh > ~/.zfunc/_gamut     # ~/.zfunc being on the fpath before compinit",
    "gamut completion fish > ~/.config/fish/completions/gamut.fish",
  ]);
}
