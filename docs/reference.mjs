// The API reference, of the docstrings of what the package exports: `npm run docs` writes it to docs/api. With a folder
// named it goes there; with --findings what it misses is said as JSON (test/package/reference.test.ts).
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application, ConsoleLogger, ReflectionKind as Kind, LogLevel } from 'typedoc';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const wantsFindings = process.argv.includes('--findings');
const folder = process.argv.slice(2).find((argument) => !argument.startsWith('-')) ?? join(root, 'docs/api');

/** The source of each entry of package.json. */
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const entryPoints = Object.values(exports)
  .filter((entry) => typeof entry === 'object')
  .map(({ types }) => join(root, types.replace(/^\.\/dist\//, '').replace(/\.d\.ts$/, '.ts')));

const app = await Application.bootstrapWithPlugins({
  name: 'twill',
  entryPoints,
  tsconfig: join(root, 'tsconfig.json'),
  plugin: ['typedoc-plugin-markdown'],
  out: folder,
  router: 'module',
  readme: 'none',
  disableSources: true,
  excludePrivate: true,
  excludeInternal: true,
  excludeExternals: true,
  sort: ['source-order'],
  validation: { notExported: true, invalidLink: true, notDocumented: false },
  // What a store of Kubernetes is made of: nobody brings one's own.
  intentionallyNotExported: ['GivingStore'],
  logLevel: 'Warn',
});
const warnings = [];
app.logger = new (class extends ConsoleLogger {
  log(message, level) {
    if (level >= LogLevel.Warn) warnings.push(message);
    if (level >= LogLevel.Warn && !wantsFindings) super.log(message, level);
  }
})();
const project = await app.convert();
if (!project) throw new Error('the sources do not compile');
app.validate(project);
rmSync(folder, { recursive: true, force: true });
await app.generateOutputs(project);

/** Names that a program can write; members of a type that is written in place are explained there. */
const KINDS = Kind.Class | Kind.Interface | Kind.Function | Kind.TypeAlias | Kind.Variable;
const MEMBERS = Kind.Method | Kind.Property | Kind.Accessor;
const names = Object.values(project.reflections).filter(
  (name) => name.kindOf(KINDS) || (name.kindOf(MEMBERS) && name.parent?.kindOf(Kind.ClassOrInterface)),
);
function isDocumented(name) {
  const told = [name, ...(name.signatures ?? []), name.getSignature, name.setSignature];
  // A symbol of the language says what it is, and an override what it overrides.
  return name.name.startsWith('[') || told.some((part) => part?.hasComment());
}
const undocumented = names.filter((name) => !isDocumented(name)).map((name) => name.getFullName());

/** Of a name and of what is in it: TypeScript, as it stands in the docstrings. */
function examplesOf(name) {
  const members = [...(name.children ?? []), ...(name.signatures ?? [])];
  const own = (name.comment?.getTags('@example') ?? []).map(({ content }) =>
    content.map(({ text }) => text.replace(/^```\w*\n|\n```$/g, '')).join(''),
  );
  return [...own, ...members.flatMap(examplesOf)];
}
const exported = Object.fromEntries(
  project.children.map(({ name, children }) => [name, children.map((child) => child.name)]),
);
const examples = names
  .filter((name) => name.kindOf(Kind.Class | Kind.Function))
  .map((name) => ({ name: name.name, entry: name.parent.name, code: examplesOf(name) }));

if (wantsFindings)
  console.log(JSON.stringify({ names: names.length, undocumented, examples, exported, warnings }));
else if (undocumented.length > 0) console.error(`without a docstring: ${undocumented.join(' ')}`);
if (warnings.length > 0 && !wantsFindings) process.exitCode = 1;
