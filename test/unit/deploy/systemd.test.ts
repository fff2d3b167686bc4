/** The units in deploy/systemd/, as systemd's own checker and our own parser see them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runOptions } from '../../../src/config/run-options.js';
import { readDocument } from '../../support/documents.js';

const names = ['twill.service', 'flanneld.service'] as const;

/** Values of a setting. */
function settings(unit: string, name: string): string[] {
  return [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

/** A copy whose programs are there: a checker looks for them. */
async function installed(t: TestContext, name: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'twill-unit-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const text = readDocument(`deploy/systemd/${name}`);
  const path = join(directory, name);
  await writeFile(path, text.replace(/^(ExecStart=)\S+/m, `$1${process.execPath}`));
  assert.match(await readFile(path, 'utf8'), /^ExecStart=\//m);
  return path;
}

for (const name of names) {
  test(`${name}: systemd finds no fault in it`, async (t) => {
    const { status, stdout, stderr, error } = spawnSync(
      'systemd-analyze',
      ['verify', '--man=no', await installed(t, name)],
      { encoding: 'utf8' },
    );
    assert.deepEqual([error, status, stdout, stderr], [undefined, 0, '', '']);
  });

  test(`${name}: little of the host is within its reach`, async (t) => {
    const argv = ['security', '--offline=true', '--no-pager', '--threshold=25', await installed(t, name)];
    const { status, stdout, stderr } = spawnSync('systemd-analyze', argv, { encoding: 'utf8' });
    assert.equal(status, 0, stdout.slice(-500) + stderr);
    assert.match(stdout, /Overall exposure level .*: 2\.\d OK/);
  });

  test(`${name}: its command line is one that we take`, () => {
    const unit = readDocument(`deploy/systemd/${name}`);
    const [command = ''] = settings(unit, 'ExecStart');
    const [program = '', ...argv] = command.split(' ');
    const asFlannel = program.endsWith('/flanneld');
    if (!asFlannel) assert.equal(argv.shift(), 'run');
    // With the environment that its comment shows.
    const env = Object.fromEntries(
      [...unit.matchAll(/^# {3}(\w+)=(.*)$/gm)].map(([, key, value]) => [key, value]),
    );
    assert.ok(Object.keys(env).length >= 2);
    const { store, subnetFile, controlSocket, iface } = runOptions(argv, env, { asFlannel });
    assert.deepEqual([store.kind, iface], ['etcd', ['eth0']]);
    const directories = settings(unit, 'RuntimeDirectory').join(' ').split(' ');
    for (const path of [subnetFile, controlSocket])
      assert.ok(
        directories.some((directory) => path.startsWith(`/run/${directory}/`)),
        path,
      );
    assert.deepEqual(settings(unit, 'RuntimeDirectoryPreserve'), ['yes'], 'subnet.env stays');
    // With it test/interop measures how much memory an agent takes.
    assert.deepEqual(settings(unit, 'Environment'), ['NODE_OPTIONS=--max-semi-space-size=2']);
  });
}

test('the two units differ in their names alone', () => {
  const [ours = '', flannels = ''] = names.map((name) => {
    const text = readDocument(`deploy/systemd/${name}`);
    return text.slice(text.indexOf('[Unit]'));
  });
  const renamed = flannels
    .replace(', as flanneld', '')
    .replace('Conflicts=twill', 'Conflicts=flanneld')
    .replace('/etc/default/flanneld', '/etc/default/twill')
    .replace('/usr/local/bin/flanneld', '/usr/local/bin/twill run');
  assert.equal(renamed, ours);
});
