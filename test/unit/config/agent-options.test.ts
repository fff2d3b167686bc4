/** The agent's options as an object: what each amounts to is what its flag amounts to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Agent,
  type AgentOptions,
  openDirectoryStore,
  openEtcdStore,
  openKubeStore,
} from '../../../src/agent.js';
import {
  etcdStoreOptions,
  kubeStoreOptions,
  type RunFields,
  runOptionsOf,
} from '../../../src/config/agent-options.js';
import { runFlags, runOptions } from '../../../src/config/run-options.js';
import { storeFlags } from '../../../src/config/store-options.js';
import { IpAddress } from '../../../src/net/ip.js';

test('no option at all: what the command line is without a flag', () => {
  assert.deepEqual(runOptionsOf({}), runOptions([], {}));
});

const all: Required<RunFields> = {
  ...{ iface: ['eth0', '192.0.2.1'], ifaceRegex: '^ens', ifaceCanReach: '192.0.2.9' },
  ...{ publicIp: IpAddress.parse('192.0.2.1'), publicIpv6: '2001:db8::1', subnetFile: '/run/x.env' },
  ...{ subnetLeaseRenewMarginMinutes: 30, leaseTtlSeconds: '3600', ipMasq: true, workers: 2 },
  ...{ ipMasqFullyRandomDisable: true, iptablesForwardRules: false, iptablesResyncSeconds: 9 },
  ...{ ipBlackholeRoute: true, workerCpus: [0, 1], sourceCheck: false, offload: [], tunName: 'weft0' },
  ...{ controlSocket: '/run/x.sock', healthzPort: 8080, healthzIp: '127.0.0.1', stateDirectory: '' },
  logLevel: 'debug',
};

test('every option: the same as its flag', () => {
  assert.deepEqual(
    runOptionsOf(all, 'dir:/srv/leases'),
    runOptions(
      [
        ...['--store=dir:/srv/leases', '--iface=eth0', '--iface=192.0.2.1', '--iface-regex=^ens'],
        ...['--iface-can-reach=192.0.2.9', '--public-ip=192.0.2.1', '--public-ipv6=2001:db8::1'],
        ...['--subnet-file=/run/x.env', '--subnet-lease-renew-margin=30', '--lease-ttl=3600', '--ip-masq'],
        ...['--workers=2', '--worker-cpus=0,1', '--source-check=off', '--offload=off', '--tun-name=weft0'],
        ...['--control-socket=/run/x.sock', '--healthz-port=8080', '--healthz-ip=127.0.0.1'],
        ...['--state-dir=', '--log-level=debug', '--ip-masq-fully-random-disable', '--ip-blackhole-route'],
        ...['--iptables-forward-rules=false', '--iptables-resync=9'],
      ],
      {},
    ),
  );
});

test('every flag of `twill run` that a program can use has its option', () => {
  const stores = new Set(storeFlags.map(({ name }) => name));
  // `v` is flannel's other way to say --log-level; of dataplanes there is one, and it ends with the program.
  const flags = runFlags.map(({ name }) => name).filter((name) => !stores.has(name));
  const left = ['dataplane', 'kernel-stand-in', 'v'];
  assert.equal(Object.keys(all).length, flags.length - left.length, flags.join(' '));
});

const wrong: [kind: 'TypeError' | 'RangeError', message: RegExp, options: unknown][] = [
  ['TypeError', /options must be an object, not null/, null],
  ['TypeError', /options must be made of iface, .*not "ifaces"/, { ifaces: 'eth0' }],
  ['TypeError', /options must be made of/, { toString: 'x' }],
  [
    'RangeError',
    /Agent\.start: publicIp="192\.0\.2" is wrong: write an IPv4 address/,
    { publicIp: '192.0.2' },
  ],
  ['RangeError', /publicIp=.*IPv4/, { publicIp: IpAddress.parse('2001:db8::1') }],
  ['RangeError', /workers="65" is wrong: write an integer from 1 to 64/, { workers: 65 }],
  ['RangeError', /workers="1\.5"/, { workers: 1.5 }],
  ['RangeError', /workerCpus="0,x"/, { workerCpus: [0, 'x'] }],
  ['RangeError', /leaseTtlSeconds="4"/, { leaseTtlSeconds: 4 }],
  ['RangeError', /logLevel="loud" is wrong: write one of/, { logLevel: 'loud' }],
  ['RangeError', /tunName=/, { tunName: 'a/b' }],
  ['RangeError', /subnetFile is empty/, { subnetFile: '' }],
  ['RangeError', /ipMasq="maybe"/, { ipMasq: 'maybe' }],
  ['RangeError', /store="tape:1" is wrong/, { store: 'tape:1' }],
  ['TypeError', /iface must be text, .*not a function/, { iface: () => {} }],
  ['TypeError', /publicIp must be text/, { publicIp: {} }],
  ['TypeError', /store must be text, or a Store with readConfig\(\), not 7/, { store: 7 }],
  ['TypeError', /store must be text, or a Store with watch\(\)/, { store: { readConfig() {}, list() {} } }],
  ['TypeError', /signal must be an AbortSignal/, { signal: 'stop' }],
];

for (const [kind, message, options] of wrong) {
  test(`${kind}: ${message.source}`, async () => {
    await assert.rejects(Agent.start(options as AgentOptions), (error: Error & { code?: string }) => {
      assert.deepEqual([error.name, error.code], [kind, 'ERR_TWILL_ARGUMENT']);
      assert.match(error.message, message);
      return true;
    });
  });
}

test('stores: the rules of the flags, the names of the fields', async () => {
  assert.deepEqual(
    etcdStoreOptions({ endpoints: ['http://192.0.2.1:2379', '192.0.2.2:2379'], prefix: '/a/b/' }),
    { kind: 'etcd', endpoints: ['http://192.0.2.1:2379', 'http://192.0.2.2:2379'], prefix: '/a/b' },
  );
  const argument = { code: 'ERR_TWILL_ARGUMENT' };
  await assert.rejects(openEtcdStore({ endpoints: 'ftp://x' }), {
    ...argument,
    message: /endpoints: "ftp:\/\/x"/,
  });
  await assert.rejects(openEtcdStore({ certFile: '/x' }), { ...argument, message: /certFile needs keyFile/ });
  await assert.rejects(openEtcdStore({ password: 'x' }), { ...argument, message: /password needs username/ });
  await assert.rejects(openEtcdStore({ host: 'x' } as object), { ...argument, name: 'TypeError' });
  await assert.rejects(openDirectoryStore(''), { ...argument, name: 'TypeError' });
  await assert.rejects(openDirectoryStore(7 as never), { ...argument, name: 'TypeError' });
});

test('a store of Kubernetes: every flag has its field, and the environment counts where it is given', async () => {
  const env = { NODE_NAME: 'n1', KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };
  const other = { TWILL_KUBE_API_URL: 'http://192.0.2.9', PATH: '/bin' };
  assert.deepEqual(
    kubeStoreOptions({ environment: { ...env, ...other } }),
    runOptions(['--kube-subnet-mgr'], env).store,
  );
  const fields = {
    ...{ apiUrl: 'https://192.0.2.1:6443/', kubeconfigFile: '/k', annotationPrefix: 'org.com/x' },
    ...{ netConfigPath: '/n', setNodeNetworkUnavailable: false, verifyNodeAddresses: true },
  };
  assert.deepEqual(kubeStoreOptions({ node: 'n2', ...fields }), {
    ...{ kind: 'kube', apiUrl: 'https://192.0.2.1:6443', kubeconfigFile: '/k', usualKubeconfigs: [] },
    ...{ annotationPrefix: 'org.com/x-', netConfigPath: '/n', node: { name: 'n2' } },
    ...{ verifyNodeAddresses: true, setNetworkUnavailable: false },
  });
  const flags = storeFlags.filter(({ name }) => /kube|net-config|node-/.test(name));
  // `kube-subnet-mgr` is the call itself.
  assert.equal(Object.keys(fields).length, flags.length - 1);
  const argument = { code: 'ERR_TWILL_ARGUMENT' };
  const rejected = (given: object | null, name: 'TypeError' | 'RangeError', message: RegExp) =>
    assert.rejects(openKubeStore(given as object), { ...argument, name, message });
  await rejected({}, 'TypeError', /node must be the name of our node/);
  await rejected({ node: 7 }, 'TypeError', /node must be .* not 7/);
  await rejected({ environment: { POD_NAME: 'p' } }, 'TypeError', /node must be/);
  await rejected({ node: 'n', environment: 'x' }, 'TypeError', /environment must be an object/);
  await rejected({ node: 'N 1' }, 'RangeError', /NODE_NAME="N 1" is no name of Kubernetes/);
  await rejected({ node: 'n', apiUrl: 'ftp://x' }, 'RangeError', /^openKubeStore: apiUrl: "ftp:\/\/x"/);
  await rejected({ node: 'n', nodes: 'x' }, 'TypeError', /options must be made of apiUrl/);
  await rejected(null, 'TypeError', /options must be an object/);
});
