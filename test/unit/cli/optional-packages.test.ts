/** Without the packages that npm may leave out, only what needs them fails, and says what to install. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { root } from '../../support/documents.js';

const run = promisify(execFile);

test('without cap and raw-socket: one line that says what to install; the rest goes on', async (t) => {
  const copy = await mkdtemp(join(tmpdir(), 'twill-optional-'));
  t.after(() => rm(copy, { recursive: true, force: true }));
  await mkdir(join(copy, 'node_modules'));
  for (const name of await readdir(join(root, 'node_modules')))
    if (!['cap', 'raw-socket'].includes(name))
      await symlink(join(root, 'node_modules', name), join(copy, 'node_modules', name));
  await cp(join(root, 'dist/src'), join(copy, 'dist/src'), { recursive: true });
  for (const name of ['package.json', 'build']) await symlink(join(root, name), join(copy, name));
  const node = (...argv: string[]) =>
    run(process.execPath, argv, { cwd: copy }).then(
      ({ stdout }) => `0 ${stdout}`,
      ({ code, stderr }) => `${code} ${stderr}`,
    );
  const main = join(copy, 'dist/src/cli/main.js');
  assert.match(
    await node(main, 'capture', '--interface=lo'),
    /^1 twill: --interface needs the package cap, which is not built here: install it with "apt-get install libpcap-dev [^\n]*" and "npm install --no-save cap@0\.2\.1"[^\n]*\n$/,
  );
  const open =
    'const { RawSockets } = await import("./dist/src/probe/raw-sockets.js");' +
    'await RawSockets.open(4, () => {}).catch(({ code, message }) => console.log(code, message))';
  assert.match(
    await node('--input-type=module', '-e', open),
    /^0 ERR_TWILL_PROBE twill probe needs the package raw-socket, which is not built here: install it with [^\n]*"npm install --no-save raw-socket@1\.8\.1"[^\n]*under Node 20 or 22[^\n]*\n$/,
  );
  for (const command of ['capture', 'probe'])
    assert.match(await node(main, command, '--help'), /^0 Usage: twill /);
  assert.match(await node(main, 'capture', '-r', main), /^1 twill: this is neither a pcap nor a pcapng file/);
});
