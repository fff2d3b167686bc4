/**
 * docs/kubernetes.md to the letter: its commands, by the real kubectl, on our API server, with nodes of flannel's and of ours
 * in namespaces. What a kubelet and the controller of DaemonSets would do is done here, by what the objects say.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readDocument, root } from '../support/documents.js';
import { type KubeApi, type KubeLab, PREFIX } from '../support/kube/lab.js';
import type { NodeObject } from '../support/kube/objects.js';
import { allReach, type Member, mixedCluster } from '../support/mixed-cluster.js';
import { cannotRun, until } from '../support/namespaces.js';

const program = process.env['TWILL_TEST_KUBECTL'] ?? '/usr/bin/kubectl';
const skip = (await cannotRun()) || (!existsSync(program) && `needs ${program} (Debian: kubernetes-client)`);

const text = readDocument('docs/kubernetes.md');

/** The commands of a section, in their order. */
function commandsOf(title: string): string[] {
  const [, section = ''] = text.split(`\n## ${title}\n`);
  const [body = ''] = section.split('\n## ');
  return body
    .split('\n')
    .filter((line) => /^ {4,}kubectl /.test(line))
    .map((line) => line.trim());
}

/** Words as a shell reads them, of which these use no more than single quotes. */
function words(command: string): string[] {
  const found = [...command.matchAll(/'([^']*)'|((?:[^\s'\\]|\\.)+)/g)];
  return found.map(([, quoted, plain = '']) => quoted ?? plain.replace(/\\(?!\.)/g, ''));
}

/** Of what only a kubelet can answer the test does what stands behind it. */
const NEEDS_KUBELET = / (exec|logs|get pods) /;

class Cluster {
  readonly members: readonly Member[];
  readonly kube: KubeLab;
  /** Where the DaemonSets of flannel are. */
  flannelSets: readonly string[] = ['/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds'];
  readonly #running = new Map<Member, 'flannel' | 'twill' | null>();

  private constructor(members: readonly Member[], kube: KubeLab) {
    this.members = members;
    this.kube = kube;
  }

  static async make(t: TestContext): Promise<Cluster> {
    const labels = ['worker-1', 'worker-2', 'worker-3'];
    const { members, kube } = await mixedCluster(t, { type: 'vxlan', families: [4], store: 'kube' }, labels);
    assert.ok(kube);
    return new Cluster(members, kube);
  }

  get api(): KubeApi {
    return this.kube.api;
  }

  async kubectl(...argv: string[]): Promise<string> {
    // There is nothing of a cluster to validate against; test/unit/deploy does that.
    const more = argv.includes('apply') ? ['--validate=false'] : [];
    const place = ['env', '-C', root, `HOME=${this.kube.directory}`, program];
    const where = [`--server=${this.api.url}`, `--cache-dir=${join(this.kube.directory, 'cache')}`];
    const [command = '', ...rest] = [...place, ...where, ...argv, ...more];
    return (await this.kube.namespace.exec(command, rest, 120_000)).stdout;
  }

  /** One command of the document, and then what the cluster makes of it. */
  async run(command: string): Promise<string> {
    const [, ...argv] = words(command);
    const behind = argv.indexOf('--');
    if (NEEDS_KUBELET.test(command)) {
      const [name = '', ...rest] = behind < 0 ? [] : argv.slice(behind + 1);
      if (behind < 0) return '';
      assert.equal(name, 'twill');
      const member = this.members.find((one) => this.#running.get(one) === 'twill');
      assert.ok(member);
      return member.agent.twill(...rest);
    }
    const printed = await this.kubectl(...argv);
    await this.reconcile();
    return printed;
  }

  /** What runs on each node is what its labels and the DaemonSets say. */
  async reconcile(): Promise<void> {
    const twill = await this.#set('/apis/apps/v1/namespaces/twill/daemonsets/twill');
    const flannels = await Promise.all(this.flannelSets.map((path) => this.#set(path)));
    for (const member of this.members) {
      const node = await this.api.node(member.namespace.label);
      const isFlannels = flannels.some((set) => set && runsOn(set, node));
      const isOurs = twill !== null && runsOn(twill, node);
      assert.ok(!(isFlannels && isOurs), `${node.metadata.name} has one of the two`);
      const wanted = isFlannels ? 'flannel' : isOurs ? 'twill' : null;
      const running = this.#running.get(member) ?? null;
      if (wanted === running) continue;
      if (running === 'flannel') await member.flannel.stop();
      if (running === 'twill') assert.equal(await member.agent.stop(), 0);
      if (wanted === 'flannel') await member.startFlannel();
      if (wanted === 'twill') await member.startTwill('--ip-masq');
      this.#running.set(member, wanted);
    }
    if (!twill) return;
    const count = [...this.#running.values()].filter((what) => what === 'twill').length;
    await this.api.setObjectStatus('/apis/apps/v1/namespaces/twill/daemonsets/twill', {
      ...{ observedGeneration: twill.metadata.generation, desiredNumberScheduled: count },
      ...{ updatedNumberScheduled: count, numberAvailable: count, numberReady: count },
    });
  }

  where(): (string | null)[] {
    return this.members.map((member) => this.#running.get(member) ?? null);
  }

  async annotations(): Promise<{ [name: string]: unknown }> {
    const nodes = await this.api.nodes();
    return Object.fromEntries(nodes.map(({ metadata }) => [metadata.name, metadata.annotations]));
  }

  /** As flannel's own manifests do it. */
  async create(kind: string, namespace: string | null, name: string, more: object = {}): Promise<void> {
    const apiVersion = { DaemonSet: 'apps/v1', ClusterRole: RBAC, ClusterRoleBinding: RBAC }[kind] ?? 'v1';
    const metadata = { name, ...(namespace !== null && { namespace }) };
    const manifest = JSON.stringify({ apiVersion, kind, metadata, ...more });
    const script = `printf %s "$1" | "$2" --server="$3" create --validate=false -f -`;
    await this.kube.namespace.exec('sh', ['-c', script, 'sh', manifest, program, this.api.url]);
  }

  async #set(path: string): Promise<DaemonSet | null> {
    return this.api.object(path).then(
      (object) => object as unknown as DaemonSet,
      () => null,
    );
  }
}

const RBAC = 'rbac.authorization.k8s.io/v1';

interface DaemonSet {
  readonly metadata: { readonly generation: number };
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly nodeSelector?: { readonly [label: string]: string };
        readonly affinity?: {
          readonly nodeAffinity: {
            readonly requiredDuringSchedulingIgnoredDuringExecution: {
              readonly nodeSelectorTerms: readonly {
                readonly matchExpressions: readonly {
                  readonly key: string;
                  readonly operator: string;
                  readonly values: readonly string[];
                }[];
              }[];
            };
          };
        };
      };
    };
  };
}

/** As the scheduler judges it. */
function runsOn({ spec }: DaemonSet, { metadata }: NodeObject): boolean {
  const { nodeSelector = {}, affinity } = spec.template.spec;
  const labels = metadata.labels ?? {};
  const terms = affinity?.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms;
  const isSelected = Object.entries(nodeSelector).every(([label, value]) => labels[label] === value);
  if (!terms) return isSelected;
  const fits = ({ matchExpressions }: (typeof terms)[number]) =>
    matchExpressions.every(({ key, operator, values }) => {
      assert.match(operator, /^(In|NotIn)$/);
      return values.includes(labels[key] ?? '') === (operator === 'In');
    });
  return isSelected && terms.some(fits);
}

const flannelSet = {
  spec: {
    selector: { matchLabels: { app: 'flannel' } },
    template: {
      metadata: { labels: { app: 'flannel' } },
      spec: { hostNetwork: true, containers: [{ name: 'kube-flannel', image: 'flannel' }] },
    },
  },
};

test('install, operate, and what one looks at when something is wrong', {
  skip,
  timeout: 240_000,
}, async (t) => {
  const cluster = await Cluster.make(t);
  const [prerequisite = ''] = commandsOf('What it needs');
  assert.match(await cluster.run(prerequisite), /worker-1 +\[10\.77\.0\.0\/24\] +10\.77\.0\.0\/24/);
  const [apply = '', status = '', shown = '', restart = '', ...more] = commandsOf('Install');
  assert.deepEqual(more, []);
  await cluster.run(apply);
  assert.deepEqual(cluster.where(), ['twill', 'twill', 'twill']);
  assert.match(await cluster.run(status), /daemon set "twill" successfully rolled out/);
  assert.match(await cluster.run(shown), /worker-1 +192\.0\.2\.1\nworker-2 +192\.0\.2\.2\n/);
  await allReach(cluster.members);
  const path = '/apis/apps/v1/namespaces/twill/daemonsets/twill';
  const generation = async () =>
    ((await cluster.api.object(path)) as unknown as DaemonSet).metadata.generation;
  const before = await generation();
  await cluster.run(restart);
  assert.equal(await generation(), before + 1);

  const [overwrite = '', own = '', neither = '', ...rest] = commandsOf('Operate');
  assert.deepEqual(rest, []);
  const said = async () => (await cluster.api.node('worker-1')).metadata.annotations ?? {};
  await cluster.run(overwrite);
  await until('it counts at once', async () => (await said())[`${PREFIX}public-ip`] === '203.0.113.7');
  await cluster.run(own);
  await cluster.run(neither);
  await until('as it was', async () => (await said())[`${PREFIX}public-ip`] === '192.0.2.1');
  assert.deepEqual(
    Object.keys(await said()).filter((name) => /overwrite|node-public/.test(name)),
    [],
  );
  await allReach(cluster.members);

  const printed = [];
  for (const command of commandsOf('When something is wrong')) printed.push(await cluster.run(command));
  assert.match(printed.join('\n'), /10\.77\.0\.0\/24/);
  assert.match(printed.join('\n'), /no_route/);

  const [uninstall = ''] = /`(kubectl delete -f [^`]+)`/.exec(text)?.slice(1) ?? [];
  await cluster.run(uninstall);
  assert.deepEqual(cluster.where(), [null, null, null]);
  await assert.rejects(cluster.kubectl('get', 'clusterrole', 'twill'), /not found/);
});

test('from flannel node by node, and back: no annotation changes by a byte', {
  skip,
  timeout: 300_000,
}, async (t) => {
  const cluster = await Cluster.make(t);
  await cluster.create('Namespace', null, 'kube-flannel');
  await cluster.create('ConfigMap', 'kube-flannel', 'kube-flannel-cfg', {
    data: { 'net-conf.json': '{"Network":"10.77.0.0/16"}' },
  });
  for (const kind of ['ClusterRole', 'ClusterRoleBinding'])
    await cluster.create(kind, null, 'flannel', kind === 'ClusterRole' ? { rules: [] } : BINDING);
  await cluster.create('DaemonSet', 'kube-flannel', 'kube-flannel-ds', flannelSet);
  await cluster.reconcile();
  assert.deepEqual(cluster.where(), ['flannel', 'flannel', 'flannel']);
  await allReach(cluster.members);
  const before = await cluster.annotations();
  const commands = commandsOf('From flannel, node by node');
  const [compare = '', label = '', patch = '', apply = '', move = '', ...after] = commands;
  assert.equal(await cluster.run(compare), '{"Network":"10.77.0.0/16"}');
  for (const command of [label, patch, apply]) {
    await cluster.run(command);
    assert.deepEqual(cluster.where(), ['flannel', 'flannel', 'flannel'], command);
  }
  const [looks, goodbyes] = [after.filter((one) => NEEDS_KUBELET.test(one)), after.slice(3)];
  assert.deepEqual([looks.length, goodbyes.length], [3, 2]);
  await cluster.run(move);
  assert.deepEqual(cluster.where(), ['twill', 'flannel', 'flannel']);
  for (const command of looks) await cluster.run(command);
  await allReach(cluster.members);
  await cluster.run(move.replace('worker-1', 'worker-2'));
  await allReach(cluster.members);
  assert.deepEqual(await cluster.annotations(), before);

  const [back = '', ...uninstall] = commandsOf('Back to flannel');
  await cluster.run(back);
  assert.deepEqual(cluster.where(), ['flannel', 'twill', 'flannel']);
  await allReach(cluster.members);
  assert.deepEqual(await cluster.annotations(), before);
  await cluster.run(back.replace('worker-1', 'worker-2'));
  for (const command of uninstall) await cluster.run(command);
  assert.deepEqual(cluster.where(), ['flannel', 'flannel', 'flannel']);

  // Once more, and to the end.
  await cluster.run(apply);
  for (const name of ['worker-1', 'worker-2', 'worker-3']) await cluster.run(move.replace('worker-1', name));
  for (const command of goodbyes) await cluster.run(command);
  assert.deepEqual(cluster.where(), ['twill', 'twill', 'twill']);
  await allReach(cluster.members);
  assert.deepEqual(await cluster.annotations(), before);
});

const BINDING = { roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'flannel' } };

test("from flannel's layout of 2019: a DaemonSet for each architecture", {
  skip,
  timeout: 240_000,
}, async (t) => {
  const cluster = await Cluster.make(t);
  const names = ['amd64', 'arm64', 'arm', 'ppc64le', 's390x'].map(
    (processor) => `kube-flannel-ds-${processor}`,
  );
  cluster.flannelSets = names.map((name) => `/apis/apps/v1/namespaces/kube-system/daemonsets/${name}`);
  for (const { namespace } of cluster.members)
    await cluster.kubectl('label', 'node', namespace.label, 'beta.kubernetes.io/arch=amd64');
  for (const name of names) {
    const nodeSelector = { 'beta.kubernetes.io/arch': name.replace('kube-flannel-ds-', '') };
    const { template } = flannelSet.spec;
    const spec = { ...flannelSet.spec, template: { ...template, spec: { ...template.spec, nodeSelector } } };
    await cluster.create('DaemonSet', 'kube-system', name, { spec });
  }
  await cluster.create('ConfigMap', 'kube-system', 'kube-flannel-cfg');
  await cluster.create('ServiceAccount', 'kube-system', 'flannel');
  for (const kind of ['ClusterRole', 'ClusterRoleBinding'])
    await cluster.create(kind, null, 'flannel', kind === 'ClusterRole' ? { rules: [] } : BINDING);
  await cluster.reconcile();
  const [patch = '', ...goodbyes] = commandsOf('Older layouts of flannel');
  const [, label = '', , apply = '', move = ''] = commandsOf('From flannel, node by node');
  for (const command of [label, patch, apply]) await cluster.run(command);
  assert.deepEqual(cluster.where(), ['flannel', 'flannel', 'flannel']);
  await cluster.run(move);
  assert.deepEqual(cluster.where(), ['twill', 'flannel', 'flannel']);
  await allReach(cluster.members);
  for (const name of ['worker-2', 'worker-3']) await cluster.run(move.replace('worker-1', name));
  for (const command of goodbyes) await cluster.run(command);
  assert.deepEqual(cluster.where(), ['twill', 'twill', 'twill']);
  await allReach(cluster.members);
});

test('every command of the document is in a section that is followed', () => {
  const followed = [
    ...['What it needs', 'Install', 'From flannel, node by node', 'Back to flannel'],
    ...['Older layouts of flannel', 'Operate', 'When something is wrong'],
  ].flatMap(commandsOf);
  const written = text.split('\n').filter((line) => /^ +kubectl /.test(line));
  assert.deepEqual(
    written.map((line) => line.trim()),
    followed,
  );
});
