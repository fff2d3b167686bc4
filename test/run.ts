/**
 * `npm test`: installs the Debian packages that the tests need (as root on Debian), runs the C++ tests and then every
 * compiled test.
 *
 * `--sanitize` runs the C++ tests, and the tests of the addon in Node, built with address and undefined-behaviour checks,
 * and then what `--sanitize-threads` runs alone: the C++ tests that have threads, built to look for data races.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const compiled = dirname(fileURLToPath(import.meta.url));
const root = join(compiled, '../..');
const sanitize = process.argv.includes('--sanitize');
const sanitizeThreads = process.argv.includes('--sanitize-threads');
/** Folders whose tests drive the addon hard and need no privilege. */
const ADDON_TESTS = ['pair/', 'golden/', 'unit/dataplane/'];

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
    openssl: ['/usr/bin/openssl'],
    python3: ['/usr/bin/python3', '/usr/local/bin/python3'],
    // Its checker of units.
    systemd: ['/usr/bin/systemd-analyze'],
    // Builds and runs the addon for arm64.
    'g++-aarch64-linux-gnu': ['/usr/bin/aarch64-linux-gnu-g++'],
    'qemu-user-static': ['/usr/bin/qemu-aarch64-static'],
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

/** Compiled tests whose source is still there, those that load the machine last. */
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

// A test that hangs fails; none needs so long.
function runNodeTests(files: string[], env: Record<string, string> = {}): void {
  run(process.execPath, ['--test', '--test-concurrency=1', '--test-timeout=300000', ...files], env);
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

installPackages();
buildOptionalPackages();
if (sanitize) {
  build('--bench', '--sanitize');
  runProgram('Debug', 'twill_native_tests');
  runProgram('Debug', 'twill_bench', '--once');
  const files = testFiles().filter((name) => ADDON_TESTS.some((folder) => name.includes(`/test/${folder}`)));
  runNodeTests(files, sanitizedEnvironment());
}
if (sanitize || sanitizeThreads) {
  build('--sanitize-threads');
  runProgram('Thread', 'twill_native_tests', '--test-suite=threads');
}
if (!sanitize && !sanitizeThreads) {
  build('--bench');
  runProgram('Release', 'twill_native_tests');
  // The benchmark's native loops do what they say, and under the sanitizers too.
  runProgram('Release', 'twill_bench', '--once');
  runNodeTests(testFiles());
}
