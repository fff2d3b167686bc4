// What the image holds of us, for a processor as Docker names it (amd64, arm, ...): the Dockerfile's steps, and those of the
// test that assembles the same root file system without Docker.
//
//   node deploy/image/assemble.mjs compiler ARCH     prints the Debian package that compiles for it; nothing for this machine
//   node deploy/image/assemble.mjs addon ARCH        compiles the addon, into prebuilds/
//   node deploy/image/assemble.mjs files ARCH ROOT   puts what is built (dist/, prebuilds/) and the packages it needs below
//                                                    ROOT: /opt/twill, its names in /opt/bin and /usr/local/bin
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const checkout = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** What Node calls each processor, and GNU the target. */
const PROCESSORS = {
  amd64: ['x64', 'x86-64-linux-gnu'],
  arm: ['arm', 'arm-linux-gnueabihf'],
  arm64: ['arm64', 'aarch64-linux-gnu'],
  ppc64le: ['ppc64', 'powerpc64le-linux-gnu'],
  riscv64: ['riscv64', 'riscv64-linux-gnu'],
  s390x: ['s390x', 's390x-linux-gnu'],
};
/** The executable's names: it goes by that under which it is called. */
const NAMES = ['opt/bin/flanneld', 'opt/bin/install-conf', 'usr/local/bin/twill'];
/** Of the package, what no agent reads: sources, types, maps. */
const LEFT_OUT = ['native', 'deploy', 'prebuilds', 'binding.gyp'];

const run = (command, ...args) => execFileSync(command, args, { cwd: checkout, stdio: ['ignore', 2, 2] });

function putFiles(arch, root) {
  const home = join(root, 'opt/twill');
  mkdirSync(home, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), 'twill-image-'));
  run('npm', 'pack', '--ignore-scripts', '--silent', '--pack-destination', folder);
  const without = [...LEFT_OUT.map((name) => `package/${name}`), '*.d.ts', '*.map'];
  const [tarball] = readdirSync(folder);
  const flags = ['--no-same-owner', '--strip-components=1', ...without.map((name) => `--exclude=${name}`)];
  run('tar', '-xzf', join(folder, tarball), '-C', home, ...flags);
  rmSync(folder, { recursive: true });
  const addons = `prebuilds/linux-${arch}`;
  cpSync(join(checkout, addons, 'twill.glibc.node'), join(home, addons, 'twill.glibc.node'));
  // The versions that were tested. What `twill capture --interface` and `twill probe` want beyond that is compiled code.
  cpSync(join(checkout, 'package-lock.json'), join(home, 'package-lock.json'));
  run(
    'npm',
    'ci',
    '--prefix',
    home,
    '--omit=dev',
    '--omit=optional',
    '--omit=peer',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
  );
  rmSync(join(home, 'package-lock.json'));
  for (const name of NAMES) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    symlinkSync('/opt/twill/dist/src/cli/main.js', join(root, name));
  }
}

const [step, name, root] = process.argv.slice(2);
const [arch, gnu] = PROCESSORS[name] ?? [];
if (!arch || !['compiler', 'addon', 'files'].includes(step) || (step === 'files') !== (root !== undefined)) {
  const known = Object.keys(PROCESSORS).join(', ');
  process.stderr.write(`assemble: compiler, addon or files, then one of ${known}; files: and a folder\n`);
  process.exit(2);
}
if (step === 'compiler' && arch !== process.arch) process.stdout.write(`g++-${gnu}\n`);
if (step === 'addon') run(process.execPath, 'native/prebuild.mjs', `linux-${arch}-glibc`);
if (step === 'files') putFiles(arch, root);
