/** `install-conf` as an init container runs it: from a ConfigMap as it is mounted, into a folder that others use too. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { dispatch, type Program } from '../../../src/cli/dispatch.js';
import { root } from '../../support/documents.js';

const CONFLIST = '{\n  "name": "cbr0",\n  "plugins": [{ "type": "flannel" }]\n}\n';

async function installConf(argv: readonly string[], program: Program = 'install-conf') {
  const out: string[] = [];
  const err: string[] = [];
  const io = {
    stdout: (line: string) => out.push(line),
    stderr: (line: string) => err.push(line),
    env: {},
    signal: new AbortController().signal,
  };
  const code = await dispatch(program === 'twill' ? ['install-conf', ...argv] : argv, io, program);
  return { code, out: out.join('\n'), err: err.join('\n') };
}

/** A mounted ConfigMap, whose files are links to links, and the folder of the container runtime. */
async function place(t: TestContext, text = CONFLIST) {
  const directory = await mkdtemp(join(tmpdir(), 'twill-install-conf-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const [mounted, folder] = [join(directory, 'kube-flannel'), join(directory, 'net.d')];
  mkdirSync(join(mounted, '..2026_11_30'), { recursive: true });
  writeFileSync(join(mounted, '..2026_11_30/cni-conf.json'), text);
  symlinkSync('..2026_11_30', join(mounted, '..data'));
  symlinkSync('..data/cni-conf.json', join(mounted, 'cni-conf.json'));
  return {
    source: join(mounted, 'cni-conf.json'),
    ...{ folder, destination: join(folder, '10-flannel.conflist') },
    /** As the kubelet does when the ConfigMap changes. */
    change: (changed: string) => writeFileSync(join(mounted, '..2026_11_30/cni-conf.json'), changed),
  };
}

for (const program of ['install-conf', 'twill'] as const) {
  test(`${program}: a regular file of mode 0644 with the same bytes, and nothing beside it`, async (t) => {
    const { source, folder, destination } = await place(t);
    const before = process.umask(0o077);
    t.after(() => process.umask(before));
    const { code, out, err } = await installConf([source, destination], program);
    assert.deepEqual([code, out, err], [0, `installed ${source} as ${destination}`, '']);
    assert.equal(readFileSync(destination, 'utf8'), CONFLIST);
    assert.ok(lstatSync(destination).isFile());
    assert.equal(statSync(destination).mode & 0o7777, 0o644);
    assert.deepEqual(readdirSync(folder), ['10-flannel.conflist']);
  });
}

test('a link of that name to the program does it', async (t) => {
  const { source, destination } = await place(t);
  const link = join(source, '../install-conf');
  symlinkSync(join(root, 'dist/src/cli/main.js'), link);
  execFileSync(link, [source, destination]);
  assert.equal(readFileSync(destination, 'utf8'), CONFLIST);
  assert.match(execFileSync(link, ['--help'], { encoding: 'utf8' }), /^Usage: twill install-conf /);
});

test('whoever reads meanwhile finds one or the other, whole', async (t) => {
  const { source, destination, change } = await place(t);
  const texts = ['a', 'b'].map((name) => JSON.stringify({ name, padding: 'x'.repeat(60_000) }));
  let isDone = false;
  const installing = (async () => {
    for (let round = 0; round < 100; round++) {
      change(texts[round % 2] ?? '');
      assert.equal((await installConf([source, destination])).code, 0);
    }
    isDone = true;
  })();
  const seen = new Set<string>();
  await Promise.all([
    installing,
    (async () => {
      for (; !isDone; await turn()) {
        try {
          seen.add(readFileSync(destination, 'utf8'));
        } catch (error) {
          // Before the first one.
          assert.equal(seen.size, 0, String(error));
        }
      }
    })(),
  ]);
  assert.deepEqual([...seen].sort(), texts);
});

test('what others have put there stays; what comes before ours is named', async (t) => {
  const { source, folder, destination } = await place(t);
  mkdirSync(folder);
  const theirs = ['.10-flannel.conflist.1.tmp', '05-other.conflist', '87-podman.conflist', 'README'];
  for (const name of theirs) writeFileSync(join(folder, name), name);
  symlinkSync('87-podman.conflist', destination);
  const { code, err } = await installConf([source, destination]);
  assert.equal(code, 0);
  assert.match(err, /^container runtimes take \S+\/net\.d\/05-other\.conflist instead: [^\n]+$/);
  for (const name of theirs) assert.equal(readFileSync(join(folder, name), 'utf8'), name);
  assert.ok(lstatSync(destination).isFile(), 'a link is replaced, not followed');
  assert.deepEqual(readdirSync(folder).sort(), [...theirs, '10-flannel.conflist'].sort());
});

test('what no runtime could read is not copied, and the file that is there stays', async (t) => {
  const bad: [string, RegExp][] = [
    ['', /it is empty/],
    ['{"name": "cbr0", "plug', /not JSON/],
    ['[]', /not a JSON object/],
    [`{"name": "${'x'.repeat(300_000)}"}`, /larger than 262144 bytes/],
  ];
  for (const [text, reason] of bad) {
    const { source, folder, destination } = await place(t, text);
    mkdirSync(folder);
    writeFileSync(destination, CONFLIST);
    const { code, err } = await installConf([source, destination]);
    assert.equal(code, 1);
    assert.match(err, /^install-conf: cannot install [^\n]+$/);
    assert.match(err, reason);
    assert.equal(readFileSync(destination, 'utf8'), CONFLIST);
    assert.deepEqual(readdirSync(folder), ['10-flannel.conflist']);
  }
});

test('what is missing, no file or not ours to write is one line and 1; wrong usage is 2', async (t) => {
  const { source, folder, destination } = await place(t);
  const failing: [string, string, RegExp][] = [
    [join(folder, 'none'), destination, /ENOENT/],
    [join(source, '..'), destination, /not a regular file/],
    [source, join(source, 'x'), /EEXIST|ENOTDIR/],
    [source, join(source, '..'), /EISDIR|EEXIST|ENOTEMPTY|EBUSY/],
  ];
  for (const [from, to, reason] of failing) {
    const { code, out, err } = await installConf([from, to]);
    assert.deepEqual([code, out], [1, ''], `${from} ${to}`);
    assert.match(err, /^[^\n]+$/);
    assert.match(err, reason);
  }
  const wrong: [string[], RegExp][] = [
    [[], /missing argument: SOURCE/],
    [[source], /missing argument: DESTINATION/],
    [[source, destination, 'more'], /unexpected argument: more/],
    [['--force', source, destination], /unknown flag --force/],
  ];
  for (const [argv, message] of wrong) {
    const { code, err } = await installConf(argv);
    assert.equal(code, 2);
    assert.match(err, message);
    assert.match(err, /^Try "install-conf --help"\.$/m);
  }
});
