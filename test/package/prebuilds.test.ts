/**
 * The addons that come with the package: each asks no more of a system than Node itself does (glibc 2.28, libstdc++ of
 * GCC 8: RHEL 8, Debian 10 and all later), and that for arm64 runs, under an emulator.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EXAMPLE_OUTPUT, libraryExample } from '../support/library-example.js';
import { scratch } from '../support/packed.js';
import { MUSL_TARGET, OWN_TARGET, prebuilt, prebuiltFolder } from '../support/prebuilt.js';
import { emulate, nodeOfVersion } from '../support/runtimes.js';

const FLOOR: Record<string, string> = { GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11', GCC: '8.0.0' };

function isAbove(version: string, floor: string): boolean {
  const [a, b] = [version, floor].map((text) => text.split('.').map(Number)) as [number[], number[]];
  for (const [i, part] of a.entries()) if (part !== (b[i] ?? 0)) return part > (b[i] ?? 0);
  return false;
}

/** What of the symbols that an addon takes from the system is newer than the floor. */
function aboveFloor(path: string): string[] {
  const text = execFileSync('readelf', ['--wide', '--dyn-syms', path], { encoding: 'utf8' });
  const symbols = [...text.matchAll(/ UND (\S+)@([A-Z]+)_([\d.]+)/g)];
  assert.ok(symbols.length > 50, `only ${symbols.length} versioned symbols found in ${path}`);
  return symbols
    .filter(([, , library = '', version = '']) => isAbove(version, FLOOR[library] ?? '0'))
    .map(([, name, library, version]) => `${name}@${library}_${version}`);
}

function needed(path: string): string[] {
  const text = execFileSync('readelf', ['--wide', '--dynamic', path], { encoding: 'utf8' });
  return [...text.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name = '']) => name).sort();
}

test('versions are compared as numbers', () => {
  assert.deepEqual(
    [isAbove('2.34', '2.28'), isAbove('2.4', '2.28'), isAbove('2.28', '2.28'), isAbove('3.4.9', '3.4.25')],
    [true, false, false, false],
  );
});

const addons = () =>
  readdirSync(prebuiltFolder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.node'));

test('addons for glibc need no newer system than Node, and no library that Node does not', {
  timeout: 300_000,
}, () => {
  prebuilt(OWN_TARGET);
  prebuilt('linux-arm64-glibc');
  const found = addons().filter((name) => name.endsWith('.glibc.node'));
  assert.ok(found.length >= 1);
  for (const name of found) {
    assert.deepEqual(aboveFloor(join(prebuiltFolder, name)), [], name);
    for (const library of needed(join(prebuiltFolder, name)))
      assert.match(library, /^(lib(c|m|gcc_s|stdc\+\+|pthread|dl)\.so\.\d+|ld-linux-\S+)$/, name);
  }
});

test('the addon for arm64 carries packets', { timeout: 300_000 }, () => {
  prebuilt('linux-arm64-glibc');
  const command = [nodeOfVersion(20, 'arm64'), '--input-type=module', '-e', libraryExample()];
  // Its own folder: build/Release is for this machine.
  const output = emulate('arm64', command, { PREBUILDS_ONLY: '1' });
  assert.equal(output, EXAMPLE_OUTPUT);
});

/** A program for musl that lends an addon what Node would, and says for which version of Node-API the addon is. */
function loadUnderMusl(addon: string, folder: string): string {
  const text = execFileSync('readelf', ['--wide', '--dyn-syms', addon], { encoding: 'utf8' });
  const lent = [...text.matchAll(/ UND ((?:napi|uv)_\w+)/g)].map(([, name]) => name);
  assert.ok(lent.length > 30, `only ${lent.length} functions of Node found`);
  const source = `
    #include <dlfcn.h>
    #include <stdio.h>
    ${lent.map((name) => `void ${name}(void) { __builtin_trap(); }`).join('\n')}
    int main(int count, char** arguments) {
      void* addon = dlopen(arguments[1], RTLD_NOW);
      if (addon == NULL) return puts(dlerror()), 1;
      int (*version)(void) = (int (*)(void))dlsym(addon, "node_api_module_get_api_version_v1");
      return printf("Node-API %d\\n", version()), 0;
    }`;
  const program = join(folder, 'load');
  execFileSync('musl-gcc', ['-x', 'c', '-rdynamic', '-o', program, '-'], { input: source });
  return execFileSync(program, [addon], { encoding: 'utf8' });
}

test('the addon for musl finds all that it needs in musl', {
  timeout: 300_000,
  skip: MUSL_TARGET === null && 'its compiler is for x64 alone',
}, (t) => {
  const muslAddon = prebuilt(MUSL_TARGET as string);
  const folder = scratch('musl');
  t.after(folder.remove);
  assert.deepEqual(needed(muslAddon), ['libc.so']);
  assert.equal(loadUnderMusl(muslAddon, folder.path), 'Node-API 8\n');
});
