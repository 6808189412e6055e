import type { YAMLParseError } from "yaml";

/** The parser's words are for those who wrote it; the usual slips in plain ones. */
export function yamlProblem({ code, message }: YAMLParseError): string {
  if (code === "BAD_INDENT" && message.startsWith("Flow ")) {
    return "a [ or { that was opened before is not closed, or what stands in it is not indented";
  }
  if (code === "MISSING_CHAR" && /quote/.test(message)) return "a quote is not closed";
  if (code === "DUPLICATE_KEY") return "this name stands twice; names must be unique: keep one of them";
  if (code === "TAB_AS_INDENT") return "indented with a tab: YAML takes spaces only";
  return message;
}
