import type { CommandWords, Expected } from "./words.js";

/** What is expected where, as cases of `path|option` for bash and zsh. `begin` and `end` stand around a list. */
export function expectedCases(words: readonly CommandWords[], begin: string, end: string): string {
  const cases: string[] = [];
  const add = (patterns: readonly string[], { choices, files }: Expected): void => {
    const pattern = patterns.map((each) => `"${each}"`).join("|");
    if (choices.length > 0) cases.push(`    ${pattern}) choices=${begin}${choices.join(" ")}${end} ;;`);
    else if (files) cases.push(`    ${pattern}) files=yes ;;`);
  };
  for (const { path, options, argument } of words) {
    add([`${path}|`], argument);
    for (const { names, value } of options)
      if (value !== null)
        add(
          names.map((name) => `${path}|${name}`),
          value,
        );
  }
  return cases.join("\n");
}
