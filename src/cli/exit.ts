/** What the process answers to the shell. */
export const Exit = {
  ok: 0,
  /** Nothing went wrong, and yet: the key is absent, the condition did not hold, the history is not consistent. */
  no: 1,
  usage: 2,
  /** Nothing was done, and nothing will be. */
  failed: 3,
  /** It may have taken effect, may still, or never will. */
  unknown: 4,
} as const;
export type Exit = (typeof Exit)[keyof typeof Exit];

/** Ends a command: the message for the user, and the code for the shell. */
export class CliError extends Error {
  override readonly name = "CliError";
  constructor(
    readonly exit: Exit,
    message: string,
    /** Name of the error, where it has one. */
    readonly code = "",
  ) {
    super(message);
  }
}

/** `no`: when this command ends with 1; "" if it never does. */
export function exitCodesHelp(no: string): string {
  return `
Exit codes:
  0  done${no === "" ? "" : `\n  1  ${no}`}
  2  the command line is wrong
  3  a definite error: nothing was done, and nothing will be
  4  the outcome is unknown: it may have taken effect, may still, or never will`;
}
