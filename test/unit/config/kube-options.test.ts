/** What flannel's flags and environment say of Kubernetes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeOptions } from '../../../src/config/kube-options.js';
import { runOptions } from '../../../src/config/run-options.js';

const env = { NODE_NAME: 'worker-1' };

function options(
  argv: readonly string[],
  environment: { readonly [name: string]: string } = env,
): KubeOptions {
  const { store } = runOptions(['--kube-subnet-mgr', ...argv], environment, { asFlannel: true });
  assert.ok(store.kind === 'kube');
  return store;
}

test("the flags of flannel's manifest are enough in a pod", () => {
  const pod = {
    POD_NAME: 'kube-flannel-ds-x7k2p',
    POD_NAMESPACE: 'kube-flannel',
    KUBERNETES_SERVICE_HOST: '10.96.0.1',
    KUBERNETES_SERVICE_PORT: '443',
    EVENT_QUEUE_DEPTH: '5000',
    CONT_WHEN_CACHE_NOT_READY: 'false',
    HOME: '/root',
  };
  assert.deepEqual(options(['--ip-masq', '--healthz-port=8081'], pod), {
    kind: 'kube',
    podApiUrl: 'https://10.96.0.1',
    usualKubeconfigs: ['/root/.kube/config'],
    annotationPrefix: 'flannel.alpha.coreos.com/',
    netConfigPath: '/etc/kube-flannel/net-conf.json',
    node: { podName: 'kube-flannel-ds-x7k2p', podNamespace: 'kube-flannel' },
    verifyNodeAddresses: false,
    setNetworkUnavailable: true,
  });
});

test('NODE_NAME comes before the pod; one of the two must be there', () => {
  const both = { NODE_NAME: 'n', POD_NAME: 'p', POD_NAMESPACE: 'ns' };
  assert.deepEqual(options([], both).node, { name: 'n' });
  for (const part of [{}, { POD_NAME: 'p' }, { POD_NAMESPACE: 'ns' }, { NODE_NAME: '', POD_NAME: 'p' }])
    assert.throws(() => options([], part as { [name: string]: string }), {
      code: 'ERR_TWILL_USAGE',
      message: /set NODE_NAME in the environment, or POD_NAME and POD_NAMESPACE$/,
    });
  for (const bad of ['../x', 'A', 'a/b', 'x'.repeat(254), 'a b'])
    assert.throws(() => options([], { NODE_NAME: bad }), /NODE_NAME=.* is no name of Kubernetes/);
});

test("prefixes of annotations by flannel's rules", () => {
  const prefix = (text: string) => options([`--kube-annotation-prefix=${text}`]).annotationPrefix;
  assert.equal(prefix('org.com'), 'org.com/');
  assert.equal(prefix('org.com/'), 'org.com/');
  assert.equal(prefix('org.com/x'), 'org.com/x-');
  assert.equal(prefix('org.com/x-'), 'org.com/x-');
  for (const bad of ['org', 'org.COM', 'org.com/PREFIX', 'a.b/c/d', '', 'org.com/x y', '.com', 'org..com'])
    assert.throws(() => prefix(bad), { code: 'ERR_TWILL_USAGE', message: /--kube-annotation-prefix=/ }, bad);
});

test('a server is a URL; what might be a password in it is not shown', () => {
  const url = (text: string) => options([`--kube-api-url=${text}`]).apiUrl;
  assert.equal(url('http://192.0.2.9:8080'), 'http://192.0.2.9:8080');
  assert.equal(url('https://api.example:6443/k8s/'), 'https://api.example:6443/k8s');
  assert.equal(url('192.0.2.9:8080'), 'http://192.0.2.9:8080');
  for (const bad of ['ftp://x', 'https://user:geheim@host', 'http://', 'https://h/?a=b']) {
    assert.throws(
      () => url(bad),
      (error: Error) => {
        assert.match(error.message, /^--kube-api-url: .* is wrong: write http:\/\/HOST:PORT/);
        assert.ok(!error.message.includes('geheim'));
        return true;
      },
      bad,
    );
  }
});

test('an IPv6 service address, several kubeconfigs, and a second place for leases', () => {
  const v6 = { ...env, KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
  assert.equal(options([], v6).podApiUrl, 'https://[fd00::1]:6443');
  assert.deepEqual(options([], { ...env, KUBECONFIG: '/a::/b' }).usualKubeconfigs, ['/a', '/b']);
  assert.throws(() => options(['--store=dir:/x']), /--store and --kube-subnet-mgr are given/);
  assert.throws(() => options(['--net-config-path=']), /--net-config-path is empty/);
  // As with flannel, those of etcd are of no use then.
  assert.equal(options(['--etcd-endpoints=http://192.0.2.1:2379']).apiUrl, undefined);
});

test('flags of Kubernetes without it are named as without effect', () => {
  const { undone, store } = runOptions(['--kube-api-url=http://x', '--verify-node-addresses'], {});
  assert.equal(store.kind, 'directory');
  assert.deepEqual(undone, ['without effect: --kube-api-url, --verify-node-addresses']);
});
