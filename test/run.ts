/**
 * `npm test`: installs the Debian packages that the tests need (as root on Debian), runs the C++ tests and then every
 * compiled test. `--sanitize` runs the C++ tests built with address and undefined-behaviour checks.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const compiled = dirname(fileURLToPath(import.meta.url));
const root = join(compiled, '../..');
const sanitize = process.argv.includes('--sanitize');

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
    'iputils-ping': ['/usr/bin/ping', '/bin/ping'],
    iproute2: ['/usr/sbin/ip', '/sbin/ip'],
    python3: ['/usr/bin/python3', '/usr/local/bin/python3'],
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

/** Compiled tests whose source is still there, those that load the machine last. */
function testFiles(): string[] {
  return readdirSync(compiled, { recursive: true, encoding: 'utf8' })
    .filter(
      (name) => name.endsWith('.test.js') && existsSync(join(root, 'test', name.replace(/\.js$/, '.ts'))),
    )
    .sort()
    .map((name) => relative(root, join(compiled, name)));
}

installPackages();
run(process.execPath, ['native/build.mjs', '--tests', '--bench', ...(sanitize ? ['--sanitize'] : [])]);
const programs = join(root, 'build', sanitize ? 'Debug' : 'Release');
run(join(programs, 'twill_native_tests'), []);
// The benchmark's native loops do what they say, and under the sanitizers too.
run(join(programs, 'twill_bench'), ['--once']);
// A test that hangs fails; none needs so long.
if (!sanitize)
  run(process.execPath, ['--test', '--test-concurrency=1', '--test-timeout=300000', ...testFiles()]);
