// Makes the addons that come with the package: `npm run prebuilds [-- linux-x64-glibc ...]`, all of them by default, and
// puts them where node-gyp-build looks. This machine's own is the ordinary build, which the tests have run; each other one
// is built in a copy of the sources beside it, build/beside/TARGET.
import { mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildBeside, gnuTools, root, run } from './beside.mjs';
import { zigTools } from './zig.mjs';

/** Those of the package, and what to build each with. */
const targets = {
  'linux-x64-glibc': () => gnuTools('x64'),
  'linux-arm64-glibc': () => gnuTools('arm64'),
  'linux-x64-musl': () => zigTools('x86_64-linux-musl'),
  'linux-arm64-musl': () => zigTools('aarch64-linux-musl'),
};
/** For the image alone: whoever has such a machine otherwise builds from source. */
const imageTargets = Object.fromEntries(
  ['arm', 'ppc64', 'riscv64', 's390x'].map((arch) => [`linux-${arch}-glibc`, () => gnuTools(arch)]),
);

function prebuiltPath(target) {
  const [platform, arch, libc] = target.split('-');
  return join(root, 'prebuilds', `${platform}-${arch}`, `twill.${libc}.node`);
}

function prebuild(target) {
  const known = { ...targets, ...imageTargets };
  const tools = known[target]?.();
  if (!tools) {
    process.stderr.write(`prebuild: "${target}" is none of ${Object.keys(known).join(', ')}\n`);
    process.exit(2);
  }
  const isOwn =
    target === `linux-${process.arch}-glibc` && process.report.getReport().header.glibcVersionRuntime;
  if (isOwn) run(process.execPath, [join(root, 'native/build.mjs')]);
  const built = join(isOwn ? join(root, 'build/Release') : buildBeside(target, tools, 'twill'), 'twill.node');
  const path = prebuiltPath(target);
  mkdirSync(dirname(path), { recursive: true });
  // The symbols that a stack of the addon's own needs stay in the build. Nobody sees half an addon.
  const stripped = join(root, 'build/prebuild', `${target}.node`);
  mkdirSync(dirname(stripped), { recursive: true });
  run(tools.STRIP, ['--strip-unneeded', '-o', stripped, built]);
  renameSync(stripped, path);
  console.log(`${target}: ${Math.round(statSync(path).size / 1024)} KiB`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = process.argv.slice(2);
  for (const target of wanted.length > 0 ? wanted : Object.keys(targets)) prebuild(target);
}
