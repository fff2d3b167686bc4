/**
 * `npm test`: installs the Debian packages that the tests need (as root on Debian), runs the C++ tests and then every
 * compiled test.
 *
 * `--sanitize` runs the C++ tests, and the tests of the addon in Node, built with address and undefined-behaviour checks,
 * and then what `--sanitize-threads` runs alone: the C++ tests that have threads, built to look for data races. `--all`
 * runs all of these. What later steps need is built while the tests before them, which wait more than they work, run.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemArchive } from './support/image/root-fs.js';
import { MUSL_TARGET, OWN_TARGET } from './support/prebuilt.js';

const self = fileURLToPath(import.meta.url);
const compiled = dirname(self);
const root = join(compiled, '../..');
const asked = (flag: string): boolean => process.argv.includes(flag);
/** Tests that drive the addon hard. */
const ADDON_TESTS = [
  ...['pair/', 'golden/', 'unit/dataplane/'],
  ...['netns/tun.', 'netns/misuse.', 'netns/library-agent.'],
];

function run(command: string, args: string[], env: Record<string, string> = {}): void {
  const done = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  if (done.status === 0) return;
  console.error(`failed: ${command} ${args.join(' ')}`);
  process.exit(1);
}

function installPackages(): void {
  const needed: Record<string, string[]> = {
    'doctest-dev': ['/usr/include/doctest/doctest.h'],
    ethtool: ['/usr/sbin/ethtool', '/sbin/ethtool'],
    tcpdump: ['/usr/bin/tcpdump', '/usr/sbin/tcpdump'],
    tshark: ['/usr/bin/tshark'],
    nftables: ['/usr/sbin/nft', '/sbin/nft'],
    iptables: ['/usr/sbin/iptables', '/sbin/iptables'],
    // For the npm package cap.
    'libpcap-dev': ['/usr/include/pcap.h'],
    'iputils-ping': ['/usr/bin/ping', '/bin/ping'],
    iproute2: ['/usr/sbin/ip', '/sbin/ip'],
    'etcd-server': ['/usr/bin/etcd'],
    'etcd-client': ['/usr/bin/etcdctl'],
    // Its kubectl, against our own API server.
    'kubernetes-client': ['/usr/bin/kubectl'],
    openssl: ['/usr/bin/openssl'],
    // Pods: bridge, host-local and portmap.
    'containernetworking-plugins': ['/usr/lib/cni/bridge'],
    python3: ['/usr/bin/python3', '/usr/local/bin/python3'],
    // Its checker of units.
    systemd: ['/usr/bin/systemd-analyze'],
    // Build the addons for musl and for other processors, and run these.
    'musl-tools': ['/usr/bin/musl-gcc'],
    'g++-aarch64-linux-gnu': ['/usr/bin/aarch64-linux-gnu-g++'],
    'g++-s390x-linux-gnu': ['/usr/bin/s390x-linux-gnu-g++'],
    'qemu-user-static': ['/usr/bin/qemu-aarch64-static'],
    // Assemble the image and run it.
    mmdebstrap: ['/usr/bin/mmdebstrap'],
    runc: ['/usr/sbin/runc', '/usr/bin/runc'],
    // The seccomp profile of a container.
    'golang-github-containers-common': ['/usr/share/containers/seccomp.json'],
    // For the benchmark and its report.
    iperf3: ['/usr/bin/iperf3'],
    chromium: ['/usr/bin/chromium'],
    'fonts-dejavu-core': ['/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf'],
  };
  const missing = Object.entries(needed).filter(([, paths]) => !paths.some((path) => existsSync(path)));
  if (missing.length === 0) return;
  const names = missing.map(([name]) => name);
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    console.error(`the tests need these Debian packages: ${names.join(' ')}`);
    process.exit(1);
  }
  run('apt-get', ['update', '-qq']);
  run('apt-get', ['install', '-qq', '--no-install-recommends', ...names], {
    DEBIAN_FRONTEND: 'noninteractive',
  });
}

/** Packages that `npm ci` leaves out where they cannot be built: what they need is there only now. */
function buildOptionalPackages(): void {
  const built = ['cap/build/Release/cap.node', 'raw-socket/build/Release/raw.node'];
  if (built.every((path) => existsSync(join(root, 'node_modules', path)))) return;
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund']);
}

/** Compiled tests whose source is still there. */
function testFiles(): string[] {
  return readdirSync(compiled, { recursive: true, encoding: 'utf8' })
    .filter(
      (name) => name.endsWith('.test.js') && existsSync(join(root, 'test', name.replace(/\.js$/, '.ts'))),
    )
    .sort()
    .map((name) => relative(root, join(compiled, name)));
}

function build(...args: string[]): void {
  run(process.execPath, ['native/build.mjs', '--tests', ...args]);
}

function runProgram(configuration: 'Release' | 'Debug' | 'Thread', name: string, ...args: string[]): void {
  run(join(root, 'build', configuration, name), args);
}

// Two at once, for they wait more than they work. A file that hangs fails; its tests have limits of their own.
function runNodeTests(files: string[], env: Record<string, string> = {}): void {
  run(process.execPath, ['--test', '--test-concurrency=2', '--test-timeout=900000', ...files], env);
}

/** Builds what steps after the tests need, giving way to them, in a process that `finish` waits for. */
function buildAside(flag: '--build-for-packages' | '--build-for-all'): { finish(): Promise<void> } {
  const log = join(root, 'build/aside.log');
  const output = openSync(log, 'w');
  const builder = spawn('nice', ['-n', '19', process.execPath, self, flag], {
    cwd: root,
    detached: true,
    stdio: ['ignore', output, output],
  });
  const ended = once(builder, 'exit');
  const stop = () => {
    // The whole group: it has compilers.
    if (builder.exitCode === null && builder.pid !== undefined) process.kill(-builder.pid);
  };
  process.on('exit', stop);
  return {
    finish: async () => {
      const [status] = await ended;
      if (status === 0) return;
      console.error(`${readFileSync(log, 'utf8')}failed: what is built beside the tests`);
      process.exit(1);
    },
  };
}

/**
 * Lets Node load the sanitized addon instead of the ordinary one. The sanitizer's library has to come into the process
 * before all others. Every process sees for itself that it got what is wanted here: support/sanitized-addon.ts.
 */
function sanitizedEnvironment(): Record<string, string> {
  const compiler = process.env['CXX'] ?? 'g++';
  const asan =
    spawnSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout?.trim() ?? '';
  if (!asan.startsWith('/')) {
    console.error(`${compiler} has no libasan.so: the sanitized addon cannot be loaded`);
    process.exit(1);
  }
  // node-gyp-build looks for build/Release below the folder that this variable names.
  const folder = join(root, 'build/sanitized');
  mkdirSync(join(folder, 'build'), { recursive: true });
  const release = join(folder, 'build/Release');
  if (!existsSync(release)) symlinkSync('../../Debug', release);
  return {
    TWILL_PREBUILD: folder,
    LD_PRELOAD: asan,
    // V8 keeps what it allocates: leaks cannot be told.
    ASAN_OPTIONS: 'detect_leaks=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
    NODE_OPTIONS: `--import=${join(compiled, 'support/sanitized-addon.js')}`,
  };
}

/** The addons of the package that the tests make. */
const TESTED_PREBUILDS = [OWN_TARGET, 'linux-arm64-glibc', ...(MUSL_TARGET ? [MUSL_TARGET] : [])];
/** Tests of the layers, which tell soonest. */
const UNIT = ['unit/', 'golden/', 'pair/'];
const isOf = (folders: readonly string[]) => (name: string) =>
  folders.some((folder) => name.startsWith(`dist/test/${folder}`));

async function test(aside: { finish(): Promise<void> }): Promise<void> {
  runProgram('Release', 'twill_native_tests');
  // The benchmark's native loops do what they say, and under the sanitizers too.
  runProgram('Release', 'twill_bench', '--once');
  const files = testFiles();
  const [unit, packages] = [files.filter(isOf(UNIT)), files.filter(isOf(['package/']))];
  runNodeTests(unit);
  runNodeTests(files.filter((name) => !unit.includes(name) && !packages.includes(name)));
  await aside.finish();
  runNodeTests(packages);
}

function testSanitized(): void {
  build('--bench', '--sanitize');
  runProgram('Debug', 'twill_native_tests');
  runProgram('Debug', 'twill_bench', '--once');
  runNodeTests(testFiles().filter(isOf(ADDON_TESTS)), sanitizedEnvironment());
}

function testThreads(): void {
  build('--sanitize-threads');
  runProgram('Thread', 'twill_native_tests', '--test-suite=threads');
}

if (asked('--build-for-packages') || asked('--build-for-all')) {
  run(process.execPath, ['native/prebuild.mjs', ...TESTED_PREBUILDS]);
  if (process.getuid?.() === 0) systemArchive();
  if (asked('--build-for-all')) {
    run(process.execPath, ['native/processors.mjs']);
    build('--bench', '--sanitize');
    build('--sanitize-threads');
  }
} else {
  installPackages();
  buildOptionalPackages();
  const onlySanitized = asked('--sanitize') || asked('--sanitize-threads');
  if (!onlySanitized) {
    build('--bench');
    await test(buildAside(asked('--all') ? '--build-for-all' : '--build-for-packages'));
  }
  if (asked('--sanitize') || asked('--all')) testSanitized();
  if (onlySanitized || asked('--all')) testThreads();
}
