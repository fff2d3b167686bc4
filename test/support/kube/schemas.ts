/**
 * Objects against the OpenAPI schemas that Kubernetes publishes, as the package kubernetes-models carries them: compiled for a
 * validator, which knows types, formats and what is required, and as types, which know every field that there is.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { root } from '../documents.js';
import type { Manifest } from './manifests.js';

const MODELS = 'kubernetes-models';
/** Files of the compiler and the package, which do not change meanwhile. */
const parsed = new Map<string, ts.SourceFile | undefined>();

/** Objects that the schemas do not know or do not take, each with the reason; none: all is well. */
export async function schemaFaults(manifests: readonly Manifest[]): Promise<string[]> {
  const known = manifests.filter(({ apiVersion, kind }) =>
    existsSync(join(root, 'node_modules', MODELS, apiVersion, `${kind}.js`)),
  );
  const unknown = manifests.filter((manifest) => !known.includes(manifest));
  return [
    ...unknown.map((manifest) => `${named(manifest)}: there is no such kind`),
    ...(await Promise.all(known.map(wrongValues))).flat(),
    ...wrongTypes(known),
  ];
}

/** By the compiled schemas. */
async function wrongValues(manifest: Manifest): Promise<string[]> {
  const { apiVersion, kind } = manifest;
  const models = await import(`${MODELS}/${apiVersion}/${kind}`);
  try {
    new models[kind](manifest).validate();
    return [];
  } catch (error) {
    return [`${named(manifest)}: ${(error as Error).message}`];
  }
}

/** By the types: an object that is written out may have no field beside them. */
function wrongTypes(manifests: readonly Manifest[]): string[] {
  const lines = manifests.map((manifest, at) => {
    const { apiVersion, kind } = manifest;
    const type = `import('${MODELS}/${apiVersion}/${kind}').I${kind}`;
    return `export const object${at}: ${type} = ${JSON.stringify(manifest, null, 1)};`;
  });
  // As if it lay in the project, so that packages are found.
  const path = join(root, 'manifests.ts');
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    module: ts.ModuleKind.Node20,
    moduleResolution: ts.ModuleResolutionKind.Node16,
    target: ts.ScriptTarget.ES2022,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  const source = ts.createSourceFile(path, lines.join('\n'), ts.ScriptTarget.ES2022);
  host.fileExists = (name) => name === path || fileExists(name);
  host.getSourceFile = (name, ...rest) => {
    if (name === path) return source;
    if (!parsed.has(name)) parsed.set(name, getSourceFile(name, ...rest));
    return parsed.get(name);
  };
  host.getCurrentDirectory = () => dirname(path);
  return ts
    .getPreEmitDiagnostics(ts.createProgram([path], options, host))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

function named({ apiVersion, kind, metadata }: Manifest): string {
  return `${apiVersion} ${kind} ${metadata.name}`;
}
