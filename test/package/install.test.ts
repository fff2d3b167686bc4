/**
 * The tarball in an empty project, put there by npm 10 and 11, with and without install scripts: the library runs, so do
 * the commands, nothing internal is reachable, and TypeScript understands it in each way of resolving modules.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { root } from '../support/documents.js';
import { EXAMPLE_OUTPUT, libraryExample } from '../support/library-example.js';
import { attempt, manifest, npmOfVersion, pack, run, scratch } from '../support/packed.js';

const folder = scratch('install');
after(folder.remove);
const tarball = pack(folder.path);

function project(name: string): string {
  const path = join(folder.path, name);
  mkdirSync(path);
  writeFileSync(join(path, 'package.json'), JSON.stringify({ name, private: true, type: 'module' }));
  return path;
}

for (const [major, ...flags] of [
  [10, '--omit=optional'],
  [11, '--ignore-scripts'],
] as const) {
  test(`npm ${major} install ${flags.join(' ')}: library and commands run`, { timeout: 180_000 }, () => {
    const npm = npmOfVersion(major, join(folder.path, `npm-${major}`));
    const path = project(`with-npm-${major}`);
    run(path, ...npm, 'install', '--no-audit', '--no-fund', '--prefer-offline', ...flags, tarball.path);
    const installed = join(path, 'node_modules/twill');
    assert.ok(
      !existsSync(join(installed, 'build')),
      'the addon in the package is for this machine: none is built',
    );
    writeFileSync(join(path, 'example.js'), libraryExample());
    assert.equal(run(path, process.execPath, 'example.js'), EXAMPLE_OUTPUT);
    for (const program of Object.keys(manifest.bin)) {
      // flanneld says it on the standard error output.
      const { status, stdout, stderr } = attempt(path, [...npm, 'exec', '--', program, '--version']);
      assert.equal(status, 0, stderr);
      assert.equal(`${stdout}${stderr}`.trim().replace(/^(twill |v)/, ''), manifest.version, program);
    }
    for (const inner of [
      'dist/src/index.js',
      'dist/src/dataplane/engine.js',
      'native/build.mjs',
      'binding.gyp',
    ]) {
      const { stderr } = attempt(path, [process.execPath, '-e', `import('twill/${inner}')`]);
      assert.match(stderr, /ERR_PACKAGE_PATH_NOT_EXPORTED/, inner);
    }
  });
}

test('where no addon loads and none can be built, the install goes on and says so', {
  timeout: 120_000,
}, () => {
  const installed = join(folder.path, 'with-npm-10/node_modules/twill');
  const withoutCompiler = { CC: 'false', CXX: 'false', TWILL_PREBUILD: folder.path };
  const { status, stderr } = attempt(installed, [process.execPath, 'native/install.mjs'], withoutCompiler);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /native build failed: .*needs a C\+\+20 compiler.*twill: no addon for this machine/s);
});

/** What a program in TypeScript does with us: values, options, packets, errors. */
const consumer = `
import { Dataplane, type DataplaneOptions, IpAddress, type PacketBuffer, Prefix, TwillError } from 'twill';

const options: DataplaneOptions = {
  encap: 'vxlan',
  subnets: ['10.244.1.0/24'],
  overlay: { kind: 'user' },
  underlay: { kind: 'user' },
  workers: 0,
};
const plane = await Dataplane.open(options);
const packet: PacketBuffer | null = plane.pool.allocate(20);
if (packet === null) throw new Error('an empty pool');
const first: number = packet.bytes.readUInt8(0);
packet.release();
try {
  packet.release();
} catch (error) {
  if (!(error instanceof TwillError)) throw error;
  const code: 'ERR_TWILL_POOL' | string = error.code;
  console.log(code, first >= 0, Prefix.parse('10.244.2.0/24').contains(IpAddress.parse('10.244.2.9')));
}
const { received, drops } = plane.stats().encap;
console.log(received, drops['no_route'] ?? -1);
await plane.close();
`;

const typescript = join(root, 'node_modules/typescript/bin/tsc');
const strict = {
  ...{
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noImplicitOverride: true,
  },
  // Our own declarations are checked with the program's options, too.
  ...{ skipLibCheck: false, target: 'es2022', lib: ['es2022'], verbatimModuleSyntax: true },
};
function compile(path: string, text: string, compilerOptions: object): void {
  mkdirSync(path);
  writeFileSync(join(path, 'main.ts'), text);
  const config = { compilerOptions: { ...strict, ...compilerOptions }, files: ['main.ts'] };
  writeFileSync(join(path, 'tsconfig.json'), JSON.stringify(config));
  run(path, process.execPath, typescript, '-p', '.');
}

/** What the codec needs of a program: neither Node's types nor a page's. */
const browser = `
import { decodeVxlan, internetChecksum, IpAddress } from 'twill/codec';

const payload = new Uint8Array(64);
const seen: unknown = decodeVxlan(payload);
export const numbers: readonly number[] = [internetChecksum(payload), IpAddress.parse('10.0.0.1').family];
export { seen };
`;

test('a strict TypeScript program for a browser, with the codec alone', { timeout: 120_000 }, () => {
  const path = join(folder.path, 'with-npm-10', 'browser');
  compile(path, browser, { module: 'esnext', moduleResolution: 'bundler', types: [] });
});

for (const [module, moduleResolution] of [
  ['node16', 'node16'],
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
] as const) {
  test(`a strict TypeScript program, modules resolved as ${moduleResolution}`, { timeout: 120_000 }, () => {
    const path = join(folder.path, 'with-npm-10', moduleResolution);
    const typeRoots = [join(root, 'node_modules/@types')];
    compile(path, consumer, { module, moduleResolution, types: ['node'], typeRoots });
    assert.equal(run(path, process.execPath, 'main.js'), 'ERR_TWILL_POOL true true\n0 0\n');
  });
}
