/** What of one file's imports, includes and globals goes against the table in layers.ts. */
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import ts from 'typescript';
import { nativeLayers, typeScriptLayers } from './layers.js';

/** Violations in words, each naming the file and the line. `path` is that from the root: `src/net/ip.ts`. */
export function layerViolations(path: string, text: string): string[] {
  const [root = '', ...rest] = path.split('/');
  const check = { src: typeScriptViolations, native: nativeViolations }[root];
  if (!check) throw new Error(`${path} lies neither in src/ nor in native/`);
  return check(path, rest[0] ?? '', text);
}

const PURE_NEVER = [
  'process',
  'console',
  'performance',
  'crypto',
  'fetch',
  'globalThis',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'require',
];

function typeScriptViolations(path: string, own: string, text: string): string[] {
  const layer = Object.hasOwn(typeScriptLayers, own) ? typeScriptLayers[own] : undefined;
  if (!layer) return [`${path}: src/${own} has no place in test/support/layers.ts`];
  const found: string[] = [];
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  const say = (node: ts.Node, what: string) => {
    found.push(`${path}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}: ${what}`);
  };

  const checkImport = (node: ts.Node, specifier: string) => {
    if (specifier.startsWith('.')) {
      const target = posix.join(posix.dirname(path), specifier).split('/');
      if (target[0] !== 'src') return say(node, `imports ${specifier}, which lies outside src/`);
      const name = target.length > 2 ? (target[1] ?? '') : (target[1] ?? '').replace(/\.js$/, '.ts');
      if (name !== own && !layer.uses.includes(name)) say(node, `${own} must not import ${name}`);
    } else if (layer.isPure) {
      say(node, `${own} is pure and must not import ${specifier}`);
    } else if (!isBuiltin(specifier)) {
      if (!layer.packages?.includes(specifier)) say(node, `${own} must not import package ${specifier}`);
    } else if (!layer.ownsProcess && /^(node:)?(process|console)$/.test(specifier)) {
      say(node, `${own} must not import ${specifier}`);
    }
  };

  const visit = (node: ts.Node): void => {
    const specifier = importOf(node);
    if (specifier !== null) checkImport(node, specifier);
    const global = globalOf(node);
    if (global !== null) {
      const isClockOrChance = ['Date.now', 'new Date()', 'Math.random'].includes(global);
      if (layer.isPure && (isClockOrChance || PURE_NEVER.includes(global)))
        say(node, `${own} is pure and must not use ${global}`);
      else if (!layer.ownsProcess && ['console', 'process.exit'].includes(global))
        say(node, `${own} must not use ${global}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** The module that a declaration, an `import()` or a type names. */
function importOf(node: ts.Node): string | null {
  let specifier: ts.Node | undefined;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) specifier = node.moduleSpecifier;
  else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
    specifier = node.argument.literal;
  else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
    specifier = node.arguments[0];
  else return null;
  if (!specifier) return null;
  return ts.isStringLiteralLike(specifier) ? specifier.text : '(computed)';
}

/** A global, or the member of one, that this very node is. */
function globalOf(node: ts.Node): string | null {
  if (ts.isNewExpression(node) && node.expression.getText() === 'Date')
    return node.arguments?.length ? null : 'new Date()';
  if (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) {
    const member = ts.isPropertyAccessExpression(node)
      ? node.name.text
      : node.argumentExpression.getText().slice(1, -1);
    const name = `${node.expression.getText()}.${member}`;
    return ['Date.now', 'Math.random', 'process.exit'].includes(name) ? name : null;
  }
  if (!ts.isIdentifier(node)) return null;
  // A member of something else, or a declaration's own name, only looks like the global.
  const { name } = node.parent as { name?: ts.Node };
  const isOnlyName = name === node && !ts.isShorthandPropertyAssignment(node.parent);
  return isOnlyName ? null : node.text;
}

const NODE_HEADERS = ['napi.h', 'node_api.h', 'js_native_api.h', 'node.h', 'v8.h', 'uv.h'];
const IMPURE_HEADERS = [
  ...['chrono', 'cstdio', 'ctime', 'filesystem', 'fstream', 'iostream', 'mutex', 'random', 'thread'],
  ...['base/clock.h', 'base/fd.h'],
];

function nativeViolations(path: string, own: string, text: string): string[] {
  const layer = Object.hasOwn(nativeLayers, own) ? nativeLayers[own] : undefined;
  if (!layer) return [`${path}: native/${own} has no place in test/support/layers.ts`];
  return text.split('\n').flatMap((line, index) => {
    const [, header] = /^\s*#\s*include\s*(.*)$/.exec(line) ?? [];
    if (header === undefined) return [];
    const why = includeRefusal(own, layer, header.trim());
    return why === null ? [] : [`${path}:${index + 1}: ${why}`];
  });
}

function includeRefusal(
  own: string,
  { uses, isPure, seesNode }: { uses: readonly string[]; isPure?: true; seesNode?: true },
  written: string,
): string | null {
  const [, quote, name = ''] = /^(["<])([^">]+)[">]/.exec(written) ?? [];
  if (quote === undefined) return `cannot be read: #include ${written}`;
  const [folder = ''] = name.split('/');
  const isOurs = quote === '"' || Object.hasOwn(nativeLayers, folder);
  if (isPure && IMPURE_HEADERS.includes(name)) return `${own} is pure and must not include ${name}`;
  if (isOurs) {
    if (!Object.hasOwn(nativeLayers, folder)) return `"${name}" names no folder of native/`;
    return folder === own || uses.includes(folder) ? null : `${own} must not include ${folder}`;
  }
  if (NODE_HEADERS.includes(name) && !seesNode) return `${own} must not include <${name}>`;
  // What the standard library of C++ has bears no suffix and no folder.
  // Vector instructions are functions of their arguments.
  if (/^(emm|imm|arm_neon)/.test(name)) return null;
  return isPure && /[./]/.test(name) ? `${own} is pure and must not include <${name}>` : null;
}
