import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flagHelp } from '../../../src/config/flags.js';
import { runFlags, runOptions } from '../../../src/config/run-options.js';

test("flannel's defaults", () => {
  const options = runOptions([], {});
  assert.equal(options.subnetFile, '/run/flannel/subnet.env');
  assert.equal(options.subnetLeaseRenewMarginMinutes, 60);
  assert.equal(options.leaseTtlSeconds, 86_400);
  assert.deepEqual(
    [options.iface, options.publicIp, options.sourceCheck, options.workers],
    [[], undefined, true, 1],
  );
});

test('health checks: nowhere unless a port is given', () => {
  assert.equal(runOptions(['--healthz-ip=192.0.2.1'], {}).healthz, undefined);
  const { healthz } = runOptions(['--healthz-port=8081'], {});
  assert.deepEqual([`${healthz?.ip}`, healthz?.port], ['0.0.0.0', 8081]);
  assert.equal(`${runOptions(['--healthz-port=1', '-healthz-ip', '::1'], {}).healthz?.ip}`, '::1');
});

test('processors for the workers', () => {
  assert.deepEqual(runOptions([], {}).workerCpus, []);
  assert.deepEqual(runOptions(['--worker-cpus=0,12'], {}).workerCpus, [0, 12]);
  for (const wrong of ['a', '0,', '-1', '0 1'])
    assert.throws(() => runOptions([`--worker-cpus=${wrong}`], {}), /--worker-cpus=.* is wrong: write/);
});

test('one dash or two, value behind "=" or next; lists collect; switches stand alone', () => {
  const options = runOptions(
    [
      '-iface',
      'eth0',
      '--iface=192.0.2.1',
      '--public-ip=192.0.2.9',
      '--ip-masq=false',
      '--source-check',
      'off',
    ],
    {},
  );
  assert.deepEqual(options.iface, ['eth0', '192.0.2.1']);
  assert.equal(`${options.publicIp}`, '192.0.2.9');
  assert.equal(options.sourceCheck, false);
});

test("the environment: flannel's names count, ours before them, the command line before both; empty is nothing", () => {
  const env = {
    FLANNELD_SUBNET_FILE: '/a',
    FLANNELD_WORKERS: '2',
    TWILL_WORKERS: '3',
    FLANNELD_IFACE: 'eth7',
    FLANNELD_PUBLIC_IP: '',
  };
  const options = runOptions(['--subnet-file=/b'], env);
  assert.deepEqual([options.subnetFile, options.workers, options.iface], ['/b', 3, ['eth7']]);
});

const wrong: [string[], RegExp][] = [
  [['--ifac=eth0'], /unknown flag --ifac: did you mean --iface\?/],
  [['--nonsense-entirely'], /unknown flag --nonsense-entirely$/],
  [['--workers=0'], /--workers="0" is wrong: write an integer from 1 to 64/],
  [['--workers=2x'], /--workers="2x"/],
  [['--workers'], /--workers needs a value/],
  [['--ip-masq', 'false'], /write --ip-masq=false/],
  [['--ip-masq=maybe'], /write true or false/],
  [['--log-level=loud'], /write one of trace, debug/],
  [['--public-ip=192.0.2.300'], /--public-ip="192\.0\.2\.300" is wrong: write an IPv4 address/],
  [['--public-ip=2001:db8::1'], /write an IPv4 address/],
  [['--store=nfs'], /write dir:PATH or etcd/],
  [['--tun-name=a/b'], /1 to 15 characters/],
  [['--tun-name=abcdefghijklmnop'], /1 to 15 characters/],
  [['--subnet-lease-renew-margin=1440'], /from 1 to 1439/],
  [['--healthz-port=65536'], /--healthz-port="65536" is wrong: write an integer from 0 to 65535/],
  [['--healthz-ip=everywhere'], /--healthz-ip="everywhere" is wrong: write an IP address/],
  [['extra'], /unexpected argument: extra/],
];
for (const [argv, why] of wrong) {
  test(`refused: ${argv.join(' ')}`, () =>
    assert.throws(() => runOptions(argv, {}), { code: 'ERR_TWILL_USAGE', message: why }));
}

test('a wrong environment names its variable', () => {
  assert.throws(() => runOptions([], { FLANNELD_WORKERS: 'many' }), {
    code: 'ERR_TWILL_USAGE',
    message: /^FLANNELD_WORKERS="many" is wrong/,
  });
});

test('the help names every flag', () => {
  const help = flagHelp(runFlags);
  for (const { name } of runFlags) assert.ok(help.includes(`--${name}`), name);
});
