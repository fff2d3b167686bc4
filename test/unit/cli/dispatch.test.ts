import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dispatch } from '../../../src/cli/dispatch.js';

const COMMANDS = [
  ...['run', 'demo', 'bench', 'status', 'peers', 'top', 'trace', 'capture', 'probe', 'install-conf'],
];

async function twill(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await dispatch(argv, {
    stdout: (line) => out.push(line),
    stderr: (line) => err.push(line),
    env: {},
    signal: new AbortController().signal,
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

describe('twill', () => {
  test('without arguments prints its help on stderr and exits 2', async () => {
    const { code, out, err } = await twill();
    assert.deepEqual([code, out], [2, '']);
    for (const name of COMMANDS) assert.match(err, new RegExp(`^  ${name} `, 'm'));
  });

  test('--help and help print it on stdout and exit 0', async () => {
    const { code, out } = await twill('--help');
    assert.equal(code, 0);
    assert.match(out, /Usage: twill <command>/);
    assert.equal((await twill('help')).out, out);
    assert.equal((await twill('-h')).code, 0);
  });

  test('--version everywhere', async () => {
    const { code, out } = await twill('--version');
    assert.equal(code, 0);
    assert.match(out, /^twill \d+\.\d+\.\d+/);
    assert.equal((await twill('status', '--version')).out, out);
  });

  for (const name of COMMANDS) {
    test(`${name} --help exits 0`, async () => {
      const { code, out, err } = await twill(name, '--help');
      assert.equal(err, '');
      assert.equal(code, 0);
      assert.match(out, new RegExp(`Usage: twill ${name}`));
      assert.equal((await twill('help', name)).out, out);
    });
  }

  test('an unknown command, an unknown flag and a missing argument exit 2 with one clear line', async () => {
    const unknown = await twill('fly');
    assert.deepEqual([unknown.code, unknown.out], [2, '']);
    assert.match(
      unknown.err,
      new RegExp(`^twill: unknown command fly: the commands are ${COMMANDS.join(', ')}$`, 'm'),
    );
    assert.match((await twill('--fly')).err, /unknown flag --fly/);
    const flag = await twill('status', '--jsn');
    assert.equal(flag.code, 2);
    assert.match(flag.err, /^twill: .*jsn.*json/m);
    const missing = await twill('trace');
    assert.equal(missing.code, 2);
    assert.match(missing.err, /missing argument: ADDRESS/);
    const nonsense = await twill('trace', '10.0.0.256');
    assert.equal(nonsense.code, 2);
    assert.match(nonsense.err, /not an IP address: 10\.0\.0\.256/);
    assert.equal((await twill('peers', 'extra')).code, 2);
    assert.equal((await twill('run', '--iface-rexeg=x')).code, 2);
    assert.equal((await twill('constructor')).code, 2);
  });

  test('no agent on the socket exits 1 with one line that names the socket', async () => {
    const { code, out, err } = await twill('status', '--control-socket=/nonexistent/twill.sock');
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /^twill: [^\n]*\/nonexistent\/twill\.sock[^\n]*$/);
  });

  test('a store that cannot be read exits 1 with one line', async () => {
    const { code, err } = await twill('run', '--store=dir:/dev/null/store', '--log-level=fatal');
    assert.equal(code, 1);
    assert.match(err, /^twill: [^\n]*\/dev\/null\/store[^\n]*$/);
  });
});
