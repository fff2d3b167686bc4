/** Where there is no addon: on another system, or on Linux without one. What needs none works, what needs it says so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, test } from 'node:test';
import { root } from '../support/documents.js';
import { manifest, plainEnvironment, scratch } from '../support/packed.js';

const empty = scratch('elsewhere');
after(empty.remove);

/** Every entry, imported; what each asks of the addon, and what comes of that. */
const program = `
  const entries = ${JSON.stringify(Object.keys(manifest.exports).filter((entry) => entry !== './package.json'))};
  for (const entry of entries) await import(entry.replace('.', 'twill'));
  const { Dataplane, IpAddress } = await import('twill');
  const { internetChecksum } = await import('twill/codec');
  const port = { kind: 'user' };
  const said = await Dataplane.open({ encap: 'udp', subnets: ['10.1.0.0/24'], overlay: port, underlay: port }).catch(
    ({ code, name, message }) => ({ code, name, message }),
  );
  const codec = [String(IpAddress.parse('2001:db8::1')), internetChecksum(new Uint8Array([0x45, 0]))];
  console.log(JSON.stringify({ said, codec, entries: entries.length }));
`;

function runElsewhere(platform: string, env: Record<string, string>) {
  const pretend = `Object.defineProperty(process, 'platform', { value: '${platform}' });`;
  const done = spawnSync(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, '--input-type=module', '-e', program],
    { cwd: root, encoding: 'utf8', env: plainEnvironment(env) },
  );
  assert.equal(done.status, 0, done.stderr);
  return JSON.parse(done.stdout) as { said: { code: string; name: string; message: string }; codec: unknown };
}

for (const [where, platform, env, message] of [
  ['on macOS', 'darwin', {}, /runs on Linux only.*darwin-.*twill\/codec/],
  ['on Windows', 'win32', {}, /runs on Linux only.*win32-.*twill\/codec/],
  [
    'on Linux without an addon',
    'linux',
    { TWILL_PREBUILD: empty.path },
    /no native addon for linux-.*node \S+native\/build\.mjs/,
  ],
] as const) {
  test(`${where}: every entry can be imported, and only what needs the addon fails, clearly`, () => {
    const { said, codec } = runElsewhere(platform, env);
    assert.deepEqual([said.name, said.code], ['TwillError', 'ERR_TWILL_NATIVE']);
    assert.match(said.message, message);
    assert.ok(!said.message.includes('\n'), said.message);
    assert.deepEqual(codec, ['2001:db8::1', 0xbaff]);
  });
}
