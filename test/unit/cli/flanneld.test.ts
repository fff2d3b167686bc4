import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dispatch } from '../../../src/cli/dispatch.js';

async function flanneld(argv: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const io = {
    stdout: (line: string) => out.push(line),
    stderr: (line: string) => err.push(line),
    env,
    signal: new AbortController().signal,
  };
  return { code: await dispatch(argv, io, 'flanneld'), out: out.join('\n'), err: err.join('\n') };
}

test('--version is bare, on standard error, with one dash or two', async () => {
  for (const argv of [['--version'], ['-version'], ['--version=true'], ['--iface=eth0', '--version']]) {
    const { code, out, err } = await flanneld(argv);
    assert.deepEqual([code, out], [0, '']);
    assert.match(err, /^v\d+\.\d+\.\d+$/);
  }
});

test('FLANNELD_VERSION has no effect', async () => {
  const nowhere = ['--store=dir:/dev/null/store', '--log-level=fatal', '--version=false'];
  const { code, err } = await flanneld(nowhere, { FLANNELD_VERSION: 'true' });
  assert.equal(code, 1);
  assert.match(err, /^flanneld: [^\n]*\/dev\/null\/store[^\n]*$/);
});

test('--help exits 0 and names every flag', async () => {
  for (const flag of ['--help', '-help', '-h']) {
    const { code, out, err } = await flanneld([flag]);
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^Usage: flanneld \[flags\]/);
    for (const name of [
      'etcd-endpoints',
      'iface-can-reach',
      'healthz-port',
      'ip-masq',
      'v',
      'iptables-resync',
    ])
      assert.match(out, new RegExp(`^  --${name}[= \\n]`, 'm'));
  }
});

test('wrong usage is one line and exit code 2', async () => {
  const wrong: [string[], RegExp][] = [
    [['--ifac=eth0'], /^flanneld: unknown flag --ifac: did you mean --iface\?$/m],
    [['--subnet-lease-renew-margin=0'], /^flanneld: --subnet-lease-renew-margin="0" is wrong: /m],
    [['--ip-masq', 'false'], /^flanneld: .*write --ip-masq=false$/m],
    [['run'], /^flanneld: unexpected argument: run$/m],
    [['--kube-subnet-mgr'], /^flanneld: --kube-subnet-mgr needs to know its node: set NODE_NAME/m],
  ];
  for (const [argv, message] of wrong) {
    const { code, out, err } = await flanneld(argv);
    assert.deepEqual([code, out], [2, ''], argv.join(' '));
    assert.match(err, message);
    assert.match(err, /\nTry "flanneld --help"\.$/);
  }
  const { code, err } = await flanneld([], { FLANNELD_HEALTHZ_PORT: 'http' });
  assert.equal(code, 2);
  assert.match(err, /^flanneld: FLANNELD_HEALTHZ_PORT="http" is wrong/);
});
