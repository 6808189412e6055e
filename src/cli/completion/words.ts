/** What can stand on the command line, taken from the commands themselves. */
import type { Command, Option } from "commander";

/** `files`: the name of a file or folder is meant. */
export interface Expected {
  readonly choices: readonly string[];
  readonly files: boolean;
}

export interface OptionWords {
  /** `-l`, `--level`. */
  readonly names: readonly string[];
  readonly description: string;
  /** null: it takes no value. */
  readonly value: Expected | null;
}

/** One command and what may follow it. */
export interface CommandWords {
  /** From the programme's on, without its name: `keyspace create`; "" for the programme itself. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly OptionWords[];
  readonly argument: Expected;
}

const FILE_NAMES = /^(file|dir|folder)$/;
const NOTHING: Expected = { choices: [], files: false };

/** The programme and all below it. */
export function wordsOf(command: Command, path = ""): CommandWords[] {
  const help = command.createHelp();
  const children = help.visibleCommands(command);
  const commands = children.map((child) => ({ name: child.name(), description: firstSentence(child.description()) }));
  const own: CommandWords = {
    path,
    commands,
    options: help.visibleOptions(command).map(optionWords),
    argument: argumentWords(command),
  };
  const below = children.flatMap((child) => {
    const childPath = path === "" ? child.name() : `${path} ${child.name()}`;
    if (child.name() !== "help") return wordsOf(child, childPath);
    // Commander's own, which takes any of the commands beside it.
    const choices = commands.map(({ name }) => name).filter((name) => name !== "help");
    return [{ path: childPath, commands: [], options: [], argument: { choices, files: false } }];
  });
  return [own, ...below];
}

function argumentWords({ registeredArguments }: Command): Expected {
  const [first] = registeredArguments;
  return first === undefined ? NOTHING : expected(first.name(), first.argChoices);
}

function expected(name: string, choices: readonly string[] | undefined): Expected {
  return { choices: choices ?? [], files: FILE_NAMES.test(name) };
}

function optionWords(option: Option): OptionWords {
  const { short, long, description, argChoices, required, optional, flags } = option;
  const placeholder = /[<[](\w+)/.exec(flags)?.[1] ?? "";
  return {
    names: [short, long].filter((name) => name !== undefined),
    description: firstSentence(description),
    value: required || optional ? expected(placeholder, argChoices) : null,
  };
}

/** In a menu there is room for a line. */
function firstSentence(text: string): string {
  return text.split(/[:;] |\. (?=[A-Z])|, e\.g\. |\n/)[0];
}
