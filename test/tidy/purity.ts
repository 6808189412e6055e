/**
 * What the compiler cannot see: names and syntax that would make a pure room depend on more than its inputs. Works on
 * the syntax tree with names resolved within the file, so that neither a comment nor a variable called `process`
 * raises an alarm.
 */
import ts from "typescript";
import type { Problem, SourceFile } from "./tree.js";

/** Globals of the language or its hosts, with the reason that is told. */
const BANNED_GLOBALS = new Map<string, string>();
function ban(reason: string, names: string): void {
  for (const name of names.split(" ")) BANNED_GLOBALS.set(name, reason);
}
ban("time comes through the clock port", "Date performance Temporal");
ban("chance comes from the seed", "crypto");
ban("a turn is synchronous: nothing waits", "Promise AsyncGenerator AsyncIterator AsyncIterable");
ban(
  "a turn is synchronous: the host calls",
  "setTimeout setInterval setImmediate queueMicrotask requestAnimationFrame",
);
ban("a turn is synchronous: the host calls", "clearTimeout clearInterval clearImmediate");
ban("the garbage collector decides when", "WeakRef FinalizationRegistry");
ban("differs with the machine's language data", "Intl");
ban("the world is behind the ports", "console process Buffer require fetch navigator window document module __dirname");
ban("the world is behind the ports", "globalThis global self __filename Deno Bun WebAssembly Worker XMLHttpRequest");
ban("code is not data", "eval Function");
ban("threads see each other's writes when they like", "SharedArrayBuffer Atomics");

/** Exact on every engine: IEEE 754 or integers. The others of Math are approximations that engines compute differently. */
const EXACT_MATH = new Set(
  "abs ceil clz32 floor fround imul max min round sign sqrt trunc PI E LN2 LN10 LOG2E LOG10E SQRT2 SQRT1_2".split(" "),
);

/** Methods whose result differs with the machine's language data. */
const LOCALE_METHODS = new Set(
  "localeCompare toLocaleString toLocaleUpperCase toLocaleLowerCase toLocaleDateString toLocaleTimeString".split(" "),
);

/** Of all files at once: one program resolves the names of each. */
export function purityProblems(files: readonly SourceFile[]): Problem[] {
  const checker = resolver(files);
  return files.flatMap((file) => new PurityScan(file, checker).run());
}

interface Resolver {
  source(path: string): ts.SourceFile;
  /** Whether the file itself declares what the name refers to. */
  isLocal(name: ts.Identifier): boolean;
  declaration(name: ts.Identifier): ts.Declaration | undefined;
}

/** Binds names without any library: a global is what nobody in the file declares. */
function resolver(files: readonly SourceFile[]): Resolver {
  const sources = new Map(
    files.map((file) => [
      `/${file.path}`,
      ts.createSourceFile(`/${file.path}`, file.text, ts.ScriptTarget.ES2022, true),
    ]),
  );
  const host: ts.CompilerHost = {
    getSourceFile: (name) => sources.get(name),
    getDefaultLibFileName: () => "none.d.ts",
    writeFile: () => {},
    getCurrentDirectory: () => "/",
    getCanonicalFileName: (name) => name,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => "\n",
    fileExists: (name) => sources.has(name),
    readFile: (name) => sources.get(name)?.text,
  };
  const options = { noLib: true, noResolve: true, types: [], moduleDetection: ts.ModuleDetectionKind.Force };
  const checker = ts.createProgram([...sources.keys()], options, host).getTypeChecker();
  const declaration = (name: ts.Identifier) => {
    const shorthand = ts.isShorthandPropertyAssignment(name.parent);
    const symbol = shorthand
      ? checker.getShorthandAssignmentValueSymbol(name.parent)
      : checker.getSymbolAtLocation(name);
    return symbol?.declarations?.[0];
  };
  return {
    source: (path) => sources.get(`/${path}`) as ts.SourceFile,
    isLocal: (name) => declaration(name) !== undefined,
    declaration,
  };
}

class PurityScan {
  private readonly problems: Problem[] = [];
  private readonly source: ts.SourceFile;

  constructor(
    private readonly file: SourceFile,
    private readonly names: Resolver,
  ) {
    this.source = names.source(file.path);
  }

  run(): Problem[] {
    for (const directive of [...this.source.typeReferenceDirectives, ...this.source.libReferenceDirectives]) {
      this.report(directive.pos, "reference", `"${directive.fileName}" brings another world's names in`);
    }
    this.visit(this.source);
    return this.problems;
  }

  private visit(node: ts.Node): void {
    if (ts.isIdentifier(node)) this.identifier(node);
    else if (ts.isPropertyAccessExpression(node)) this.member(node, node.name.text, node.expression);
    else if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression)) {
      this.member(node, node.argumentExpression.text, node.expression);
    } else if (ts.isAwaitExpression(node))
      this.report(node.getStart(this.source), "await", "a turn is synchronous: nothing waits");
    else if (ts.isForOfStatement(node) && node.awaitModifier)
      this.report(node.getStart(this.source), "await", "a turn is synchronous");
    else if (node.kind === ts.SyntaxKind.AsyncKeyword)
      this.report(node.getStart(this.source), "async", "a turn is synchronous");
    else if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword) {
      this.report(node.getStart(this.source), "import.meta", "names a file of this machine");
    } else if (ts.isBinaryExpression(node)) this.power(node);
    ts.forEachChild(node, (child) => this.visit(child));
  }

  private identifier(name: ts.Identifier): void {
    if (!isReference(name) || this.names.isLocal(name)) return;
    const reason = BANNED_GLOBALS.get(name.text);
    if (reason !== undefined) this.report(name.getStart(this.source), name.text, reason);
    // Math itself may only stand before one of its exact members: no `const { random } = Math`.
    const parent = name.parent;
    if (
      name.text === "Math" &&
      !((ts.isPropertyAccessExpression(parent) || isLiteralElement(parent)) && parent.expression === name)
    ) {
      this.report(name.getStart(this.source), "Math", "is passed on whole: name the function");
    }
  }

  private member(node: ts.Node, name: string, of: ts.Expression): void {
    if (ts.isIdentifier(of) && of.text === "Math" && !this.names.isLocal(of) && !EXACT_MATH.has(name)) {
      const reason = name === "random" ? "chance comes from the seed" : "engines compute it differently";
      this.report(node.getStart(this.source), `Math.${name}`, reason);
    }
    if (LOCALE_METHODS.has(name))
      this.report(node.getStart(this.source), name, "differs with the machine's language data");
    if (name === "captureStackTrace" || name === "stackTraceLimit" || (name === "stack" && this.isError(of))) {
      this.report(node.getStart(this.source), "Error.stack", "differs with engine and build");
    }
  }

  /** Without types: what was caught, what was made by `new …Error`, what is called an error. */
  private isError(of: ts.Expression): boolean {
    const bare = ts.isParenthesizedExpression(of) ? of.expression : of;
    if (ts.isAsExpression(bare)) return this.isError(bare.expression);
    if (ts.isNewExpression(bare)) return ts.isIdentifier(bare.expression) && /Error$/.test(bare.expression.text);
    if (!ts.isIdentifier(bare)) return false;
    const declaration = this.names.declaration(bare);
    if (declaration !== undefined && ts.isCatchClause(declaration.parent)) return true;
    if (declaration !== undefined && ts.isVariableDeclaration(declaration) && declaration.initializer) {
      if (ts.isNewExpression(declaration.initializer)) return this.isError(declaration.initializer);
    }
    return /^(e|err|error|cause|exception)$/.test(bare.text);
  }

  /** Powers of two and of literals are exact; others go through the engine's approximation. */
  private power(node: ts.BinaryExpression): void {
    const kind = node.operatorToken.kind;
    if (kind !== ts.SyntaxKind.AsteriskAsteriskToken && kind !== ts.SyntaxKind.AsteriskAsteriskEqualsToken) return;
    const isExact = isIntegerLiteral(node.left) && isIntegerLiteral(node.right);
    if (!isExact)
      this.report(node.getStart(this.source), "**", "engines compute powers differently, unless of two whole literals");
  }

  private report(pos: number, rule: string, what: string): void {
    const line = this.source.getLineAndCharacterOfPosition(pos).line + 1;
    this.problems.push({ path: this.file.path, line, rule, what });
  }
}

function isIntegerLiteral(node: ts.Expression): boolean {
  if (ts.isBigIntLiteral(node)) return true;
  return ts.isNumericLiteral(node) && Number.isInteger(Number(node.text));
}

function isLiteralElement(node: ts.Node): node is ts.ElementAccessExpression {
  return ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression);
}

/** A use of a variable or type; not the name of a property, a member, a label, or of something that is being declared. */
function isReference(name: ts.Identifier): boolean {
  const parent = name.parent;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === name;
  if (ts.isQualifiedName(parent)) return parent.left === name;
  if (ts.isPropertyAssignment(parent) || ts.isBindingElement(parent)) return parent.initializer === name;
  if (ts.isShorthandPropertyAssignment(parent)) return true;
  if (ts.isEnumMember(parent) || ts.isLabeledStatement(parent) || ts.isBreakOrContinueStatement(parent)) return false;
  if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent)) return false;
  const declared = parent as { readonly name?: ts.Node };
  return declared.name !== name;
}
