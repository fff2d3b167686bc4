import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { runOptions } from '../../../src/config/run-options.js';

const store = (argv: string[], env = {}, asFlannel = false) => runOptions(argv, env, { asFlannel }).store;

describe('which store', () => {
  test('a directory unless something speaks for etcd; etcd for flanneld', () => {
    assert.deepEqual(store([]), { kind: 'directory', path: '/var/lib/twill' });
    assert.deepEqual(store(['--store=dir:/x y']), { kind: 'directory', path: '/x y' });
    const flannels = {
      kind: 'etcd',
      endpoints: ['http://127.0.0.1:4001', 'http://127.0.0.1:2379'],
      prefix: '/coreos.com/network',
    };
    assert.deepEqual(store(['--store=etcd']), flannels);
    assert.deepEqual(store([], {}, true), flannels);
    assert.deepEqual(store([], { FLANNELD_ETCD_PREFIX: '/coreos.com/network' }), flannels);
    assert.deepEqual(store(['--store=dir:/x', '--etcd-prefix=/y']), { kind: 'directory', path: '/x' });
    assert.deepEqual(store(['--store=dir:/x'], {}, true), { kind: 'directory', path: '/x' });
  });

  test('endpoints and prefix are tidied', () => {
    const options = store(['--etcd-endpoints=https://a:2379/, http://[::1]:4001', '--etcd-prefix=//a/./b/']);
    assert.deepEqual(options, {
      kind: 'etcd',
      endpoints: ['https://a:2379', 'http://[::1]:4001'],
      prefix: '/a/b',
    });
  });

  test('an endpoint without a scheme is http, or https where certificates are given', () => {
    const endpoints = (...more: string[]) => {
      const options = store(['--etcd-endpoints=192.0.2.1:2379,etcd.example:2379,http://c:1', ...more]);
      return options.kind === 'etcd' ? options.endpoints : [];
    };
    const [first, second] = ['//192.0.2.1:2379', '//etcd.example:2379'];
    assert.deepEqual(endpoints(), [`http:${first}`, `http:${second}`, 'http://c:1']);
    assert.deepEqual(endpoints('--etcd-cafile=/ca'), [`https:${first}`, `https:${second}`, 'http://c:1']);
  });

  test('a password shows only where it is asked for', () => {
    const options = store(['--etcd-username=u'], { FLANNELD_ETCD_PASSWORD: 'open sesame' });
    assert.ok(options.kind === 'etcd');
    assert.equal(options.password?.reveal(), 'open sesame');
    for (const shown of [JSON.stringify(options), inspect(options, { depth: 9 }), `${options.password}`])
      assert.doesNotMatch(shown, /sesame/);
  });
});

const wrong: [string[], RegExp][] = [
  [['--etcd-endpoints=unix:///run/etcd.sock'], /"unix:\/\/\/run\/etcd\.sock" is wrong: write http:/],
  [['--etcd-endpoints=u:sesame@h:1'], /^(?!.*sesame).*"\.\.\.@h:1" is wrong/],
  [['--etcd-endpoints='], /"" is wrong/],
  [['--etcd-endpoints=http://u:sesame@h:1'], /^(?!.*sesame).*is wrong/],
  [['--etcd-endpoints=http://h:99999'], /is wrong/],
  [['--etcd-prefix=/'], /--etcd-prefix="\/" is wrong: write a path/],
  [['--etcd-prefix=/a/../b'], /is wrong: write a path/],
  [['--etcd-certfile=/c'], /--etcd-certfile needs --etcd-keyfile/],
  [['--etcd-keyfile=/k'], /--etcd-keyfile needs --etcd-certfile/],
  [['--etcd-password=p'], /--etcd-password needs --etcd-username/],
];
for (const [argv, why] of wrong) {
  test(`refused: ${argv.join(' ')}`, () =>
    assert.throws(() => runOptions(argv, {}), { code: 'ERR_TWILL_USAGE', message: why }));
}
