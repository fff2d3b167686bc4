/**
 * `npm run test:cluster`: deploy/kubernetes/twill.yml on a whole Kubernetes, with kubelets and containers. Not among `npm test`: its
 * programs are built first, which takes ten minutes once, and it wants Debian 12 with control groups of version 1.
 */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PLAIN } from '../support/kube/manifests.js';
import { cannotRun, until } from '../support/namespaces.js';
import { scratch } from '../support/packed.js';
import { Cluster } from './cluster.js';
import { TOOLS } from './images.js';

const NEEDED: { readonly [name: string]: string } = {
  ...{
    'golang-go': '/usr/bin/go',
    'dpkg-dev': '/usr/bin/dpkg-source',
    make: '/usr/bin/make',
    rsync: '/usr/bin/rsync',
  },
  ...{ containerd: '/usr/bin/containerd', runc: '/usr/sbin/runc', 'busybox-static': '/bin/busybox' },
  ...{
    'etcd-server': '/usr/bin/etcd',
    'kubernetes-client': '/usr/bin/kubectl',
    mmdebstrap: '/usr/bin/mmdebstrap',
  },
  ...{ 'containernetworking-plugins': '/usr/lib/cni/bridge', iptables: '/usr/sbin/iptables' },
};

async function cannot(): Promise<string | false> {
  const missing = Object.entries(NEEDED).flatMap(([name, path]) => (existsSync(path) ? [] : name));
  if (missing.length > 0) return `needs Debian packages: apt-get install ${missing.join(' ')}`;
  if (!existsSync('/sys/fs/cgroup/memory/cgroup.procs')) return 'needs control groups of version 1';
  return cannotRun();
}

const WEB = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: ${TOOLS}
          imagePullPolicy: Never
          command: [sh, -c, 'hostname > /tmp/index.html; exec httpd -f -p 80 -h /tmp']
          readinessProbe: {tcpSocket: {port: 80}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
`;

interface Web {
  readonly name: string;
  readonly address: string;
  readonly node: string;
}

/** Its pods, one a node; once all of them serve. */
async function webs(cluster: Cluster): Promise<[Web, Web]> {
  await cluster.kubectl('rollout', 'status', 'daemonset/web', '--timeout=120s');
  const path = '{range .items[*]}{.metadata.name} {.status.podIP} {.spec.nodeName}{"\\n"}{end}';
  const text = await cluster.kubectl('get', 'pods', '-l', 'app=web', `-o=jsonpath=${path}`);
  const found = text
    .trim()
    .split('\n')
    .map((line) => {
      const [name = '', address = '', node = ''] = line.split(' ');
      return { name, address, node };
    });
  assert.equal(found.length, cluster.nodes.length, text);
  return found as unknown as [Web, Web];
}

test('the manifest on a whole cluster', { skip: await cannot(), timeout: 3_600_000 }, async (t) => {
  const cluster = await Cluster.make(t);
  const kubectl = (...argv: string[]) => cluster.kubectl(...argv);
  const twill = (...argv: string[]) => kubectl('-n', 'twill', ...argv);
  const rolledOut = () => twill('rollout', 'status', 'daemonset/twill', '--timeout=300s');
  const pings = (from: Web, to: Web) =>
    kubectl('exec', from.name, '--', 'ping', '-c', '2', '-W', '2', to.address);
  const bothWays = async () => {
    const [a, b] = await webs(cluster);
    await pings(a, b);
    await pings(b, a);
  };
  const folder = scratch('cluster');
  t.after(folder.remove);

  await t.test('it makes nodes ready, and pods reach each other, by address and by Service', async () => {
    await kubectl('apply', '-f', PLAIN);
    await rolledOut();
    await kubectl('wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=120s');
    writeFileSync(join(folder.path, 'web.yml'), WEB);
    await kubectl('apply', '-f', join(folder.path, 'web.yml'));
    await bothWays();
    const [a] = await webs(cluster);
    const address = await kubectl('get', 'service', 'web', '-o=jsonpath={.spec.clusterIP}');
    const names = new Set<string>();
    await until('the Service leads to the pods of both nodes', async () => {
      names.add((await kubectl('exec', a.name, '--', 'wget', '-qO-', `http://${address}/`)).trim());
      return names.size === cluster.nodes.length;
    });
    assert.match(await twill('exec', 'daemonset/twill', '--', 'twill', 'status'), /^ready +yes$/m);
  });

  await t.test('a rollout: the kernel carries while pods are replaced', async (t) => {
    const [a, b] = await webs(cluster);
    const count = 300;
    const pinging = kubectl(
      'exec',
      a.name,
      '--',
      'sh',
      '-c',
      `ping -i 0.2 -W 1 -c ${count} ${b.address} || true`,
    );
    await twill('rollout', 'restart', 'daemonset/twill');
    await rolledOut();
    const report = await pinging;
    const received = Number(/(\d+) packets received/.exec(report)?.[1]);
    t.diagnostic(`${count - received} of ${count} pings lost, five a second`);
    // Without a stand-in 80 and more.
    assert.ok(received > count - 30, report);
  });

  await t.test('killed agents, and a killed API server', async () => {
    for (const node of cluster.nodes) {
      const agents = cluster.processesOf(node, '/opt/bin/flanneld');
      assert.equal(agents.length, 1);
      for (const pid of agents) process.kill(pid, 'SIGKILL');
    }
    await cluster.restartServer();
    await until('all agents are ready', () => rolledOut().then(() => true), 300_000);
    await bothWays();
  });

  await t.test('a node is given away by its label, still carries, and comes back', async () => {
    const pods = async () => (await twill('get', 'pods', '-o=name')).trim().split('\n').length;
    await kubectl('label', 'node', 'worker-1', 'overlay-agent=flannel');
    await until('its pod is gone', async () => (await pods()) === 1, 180_000);
    const links = JSON.parse(await cluster.host('worker-1').ip('-j', '-d', 'link', 'show', 'flannel.1'));
    assert.equal(links[0].linkinfo.info_kind, 'vxlan');
    await bothWays();
    await kubectl('label', 'node', 'worker-1', 'overlay-agent-');
    await until('its pod is back', async () => (await pods()) === 2, 180_000);
    await rolledOut();
    await bothWays();
  });

  await t.test('it is uninstalled, and pods go on', async () => {
    await kubectl('delete', '-f', PLAIN, '--timeout=180s');
    await bothWays();
  });
});
