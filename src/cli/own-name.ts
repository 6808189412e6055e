/** How a person calls this program from the shell they are in. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

export const OWN_NAME = "gamut";

/** `gamut` where the shell finds it; else, as in a clone of the sources, through npx. */
export function ownName(path = process.env.PATH ?? ""): string {
  const file = process.platform === "win32" ? "gamut.cmd" : "gamut";
  // npm puts the packages' own folders on the path of what it starts: they are not on that of the shell.
  const folders = path.split(delimiter).filter((folder) => folder !== "" && !/node_modules[\\/]\.bin$/.test(folder));
  return folders.some((folder) => existsSync(join(folder, file))) ? OWN_NAME : `npx ${OWN_NAME}`;
}
