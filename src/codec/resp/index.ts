export { Arguments } from "./arguments.js";
export { answerCommand } from "./command-reply.js";
export type { CommandContext, CommandSpec } from "./command-spec.js";
export { COMMANDS, findCommand, findCommandIn, withSubcommand } from "./commands.js";
export * from "./errors.js";
export { RESP_LIMITS, type RespLimits, RespParser } from "./parser.js";
export { renderError } from "./renderers.js";
export { type RespVersion, RespWriter } from "./reply.js";
export { writeSubcommands } from "./subcommands.js";
