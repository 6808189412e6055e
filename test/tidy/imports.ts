/** Who imports whom: between rooms, from packages, from Node.js. */
import { posix } from "node:path";
import ts from "typescript";
import { isPure, isTest, type Problem, ROOM_IMPORTS, roomOf, type SourceFile } from "./tree.js";

const PACKAGE_NAME = "gamut";
/** The one file of the client that may know Node.js; nor may the client need a package. */
const CLIENT_TRANSPORT = "src/client/socket.ts";
/** Without native parts, for they are published alone from the same source. */
const PUREST_PACKAGE = "pure-rand/";

interface Import {
  readonly specifier: string;
  readonly line: number;
  /** `import("…")` at run time. */
  readonly isDynamic: boolean;
}

export function importProblems(file: SourceFile): Problem[] {
  const room = roomOf(file.path);
  if (room === "") return [];
  const problems: Problem[] = [];
  for (const { specifier, line, isDynamic } of importsOf(file)) {
    const report = (rule: string, what: string) => problems.push({ path: file.path, line, rule, what });
    if (specifier === PACKAGE_NAME || specifier.startsWith(`${PACKAGE_NAME}/`)) {
      report("self-import", `"${specifier}": import the file, for the package name leads to what was built before`);
    } else if (specifier.startsWith(".")) {
      checkRelative(file, room, specifier, report);
    } else if (specifier.startsWith("/") || specifier.startsWith("file:")) {
      report("absolute-import", `"${specifier}" is a path of one machine`);
    } else if (isPure(file.path) && !specifier.startsWith(PUREST_PACKAGE)) {
      report("package-import", `"${specifier}": a pure room imports only the subpaths of pure-rand`);
    }
    const isOutside = !specifier.startsWith(".") && roomOf(file.path) === "client" && !isTest(file.path);
    if (isOutside && !(specifier === "node:net" && file.path === CLIENT_TRANSPORT)) {
      report("client-import", `"${specifier}": the client runs anywhere; only ${CLIENT_TRANSPORT} imports node:net`);
    }
    if (isDynamic && isPure(file.path)) report("dynamic-import", "gives a promise: a turn is synchronous");
  }
  return problems;
}

function checkRelative(
  file: SourceFile,
  room: string,
  specifier: string,
  report: (rule: string, what: string) => void,
): void {
  if (!/\.(js|json)$/.test(specifier)) report("import-ending", `"${specifier}" must end in .js`);
  const target = posix.join(posix.dirname(file.path), specifier);
  const targetRoom = roomOf(target);
  if (targetRoom === "") {
    // A test may read what lies beside the rooms.
    if (!isTest(file.path)) report("room-import", `"${specifier}" lies in no room`);
    return;
  }
  const allowed = ROOM_IMPORTS[room];
  if (allowed === undefined) report("room-import", `${room} is no room of the table`);
  else if (targetRoom !== room && !allowed.includes(targetRoom)) {
    report("room-import", `${room} may not import ${targetRoom}; it may: ${allowed.join(" ") || "nothing"}`);
  }
  if (isTest(target) && !isTest(file.path)) report("test-import", `"${specifier}" belongs to tests`);
}

function importsOf(file: SourceFile): Import[] {
  const source = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ES2022, true);
  const found: Import[] = [];
  const add = (node: ts.Node | undefined, isDynamic: boolean) => {
    if (node === undefined || !ts.isStringLiteralLike(node)) return;
    const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
    found.push({ specifier: node.text, line, isDynamic });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier, false);
    else if (ts.isExternalModuleReference(node)) add(node.expression, false);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, false);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], true);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const NODE_GLOBALS = new Set(
  "Buffer process global require module __dirname __filename setImmediate clearImmediate".split(" "),
);

/** What a file uses that only Node.js has, in order; names of properties are not meant. */
export function nodeGlobals(text: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && NODE_GLOBALS.has(node.text)) {
      const { parent } = node;
      const isProperty =
        (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
        (ts.isPropertyAssignment(parent) && parent.name === node);
      if (!isProperty) found.push(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("x.ts", text, ts.ScriptTarget.ES2022, true));
  return found;
}
