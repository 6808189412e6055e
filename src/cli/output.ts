/** What commands write: bytes as they are to a pipe or a file, readable to a person. */
import { once } from "node:events";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text that the bytes spell in UTF-8; null if they spell none. */
export function utf8Text(bytes: Uint8Array): string | null {
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}

/** For a terminal: what would move the cursor, or is no text at all, as `\xNN`. */
export function printable(bytes: Uint8Array): string {
  const text = utf8Text(bytes);
  if (text === null) {
    const shown = (byte: number): string =>
      byte >= 0x20 && byte < 0x7f && byte !== 0x5c ? String.fromCharCode(byte) : `\\x${hex(byte)}`;
    return Array.from(bytes, shown).join("");
  }
  return text.replace(/[^\P{Cc}\t\n]/gu, (char) => `\\x${hex(char.charCodeAt(0))}`);
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** A value as a field of JSON: `value` where it is text, else `valueBase64`. */
export function jsonValue(bytes: Uint8Array, name = "value"): Record<string, string> {
  const text = utf8Text(bytes);
  return text === null ? { [`${name}Base64`]: Buffer.from(bytes).toString("base64") } : { [name]: text };
}

/** A value alone: nothing is added to it unless a person reads it. */
export async function writeValue(bytes: Uint8Array): Promise<void> {
  if (process.stdout.isTTY) await writeOut(`${printable(bytes)}\n`);
  else await writeOut(bytes);
}

export async function writeLine(text: string): Promise<void> {
  await writeOut(`${text}\n`);
}

/** At the pace of the reader. */
export async function writeOut(data: string | Uint8Array): Promise<void> {
  if (!process.stdout.write(data)) await once(process.stdout, "drain");
}

/** A reader that has seen enough (`| head`) ends the command without a complaint. */
export function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}

/** Why a file that the user named cannot be read. */
export function unreadable(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "ENOENT":
      return "there is no such file";
    case "EACCES":
      return "this user may not read the file";
    case "EISDIR":
      return "is a folder: name the file in it";
    default:
      return `cannot be read: ${error.message}`;
  }
}

export async function readStdin(): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
