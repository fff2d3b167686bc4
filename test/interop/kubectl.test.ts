/** The real kubectl on our API server: what we test against speaks the language of Kubernetes. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import type { KubeApiServer } from '../support/kube/api-server.js';
import { flannelPlan, followedKube, kubeOptionsFor, PREFIX, startServer } from '../support/kube/followed.js';
import { until } from '../support/namespaces.js';

const program = process.env['TWILL_TEST_KUBECTL'] ?? '/usr/bin/kubectl';
const skip = !existsSync(program) && `needs ${program} (Debian: kubernetes-client)`;

interface Place {
  readonly server: KubeApiServer;
  readonly argv: (...args: string[]) => string[];
  readonly env: NodeJS.ProcessEnv;
  readonly kubectl: (...args: string[]) => Promise<string>;
}

async function place(t: TestContext): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'twill-kubectl-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const server = await startServer(t);
  const kubeconfig = join(directory, 'config');
  await writeFile(
    kubeconfig,
    `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k}}]
clusters: [{name: k, cluster: {server: "${server.url}"}}]
`,
  );
  const env = { ...process.env, HOME: directory, KUBECONFIG: kubeconfig };
  const argv = (...args: string[]) => [`--cache-dir=${directory}/cache`, ...args];
  const kubectl = async (...args: string[]) =>
    (await promisify(execFile)(program, argv(...args), { env, timeout: 60_000 })).stdout;
  return { server, argv, env, kubectl };
}

test('kubectl gets, creates, annotates, patches and deletes nodes, and our store sees it', {
  skip,
}, async (t) => {
  const { server, kubectl } = await place(t);
  server.state.addNode('a', flannelPlan(1));
  const followed = await followedKube(t, await kubeOptionsFor(t, server));
  await followed.hasKeys('10.100.1.0-24');
  assert.match(await kubectl('get', 'nodes', '-o', 'name'), /^node\/a\n$/);
  const shown = JSON.parse(await kubectl('get', 'node', 'a', '-o', 'json'));
  assert.deepEqual([shown.kind, shown.spec.podCIDR], ['Node', '10.100.1.0/24']);
  await kubectl('annotate', 'node', 'a', '--overwrite', `${PREFIX}public-ip=198.51.100.1`);
  await until(
    'the annotation',
    async () => followed.value('10.100.1.0-24')?.includes('198.51.100.1') === true,
  );
  const annotations = { [`${PREFIX}public-ip`]: '198.51.100.2' };
  await kubectl(
    'patch',
    'node',
    'a',
    '--type=strategic',
    '-p',
    JSON.stringify({ metadata: { annotations } }),
  );
  await until('the patch', async () => followed.value('10.100.1.0-24')?.includes('198.51.100.2') === true);
  await kubectl(
    'patch',
    'node',
    'a',
    '--type=merge',
    '-p',
    JSON.stringify({ metadata: { annotations: { [`${PREFIX}public-ip`]: '198.51.100.3' } } }),
  );
  await until('the merge', async () => followed.value('10.100.1.0-24')?.includes('198.51.100.3') === true);
  await kubectl('annotate', 'node', 'a', `${PREFIX}kube-subnet-manager-`);
  await followed.hasKeys('');
  await kubectl('annotate', 'node', 'a', `${PREFIX}kube-subnet-manager=true`);
  await followed.hasKeys('10.100.1.0-24');
  await kubectl('delete', 'node', 'a', '--timeout=30s');
  await followed.hasKeys('');
  // What is wrong is refused, as kubectl's users know it.
  server.state.addNode('b', flannelPlan(2));
  const refused = async (message: RegExp, ...args: string[]) =>
    assert.rejects(kubectl(...args), (error: { stderr?: string }) => {
      assert.match(error.stderr ?? '', message);
      return true;
    });
  await refused(/nodes "c" not found/, 'get', 'node', 'c');
  await refused(/is invalid|Forbidden/i, 'patch', 'node', 'b', '-p', '{"spec":{"podCIDR":"10.9.9.0/24"}}');
  await refused(
    /cannot unmarshal number/,
    'patch',
    'node',
    'b',
    '-p',
    '{"metadata":{"annotations":{"x":1}}}',
  );
  server.setFaults({ forbidden: ['delete nodes'] });
  await refused(/cannot delete resource "nodes"/, 'delete', 'node', 'b');
});

test('kubectl watches what our store writes', { skip }, async (t) => {
  const { server, argv, env } = await place(t);
  server.state.addNode('own', { podCidrs: ['10.100.9.0/24'] });
  const child = spawn(program, argv('get', 'node', 'own', '-o', 'json', '-w'), { env });
  t.after(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  // It passes over what its watch begins with: a change before that would not be seen.
  await until('the node as it is', async () => text.includes('"own"') && server.watches === 1);
  server.state.annotate('own', { [`${PREFIX}public-ip`]: '192.0.2.200' });
  await until('the change', async () => text.includes('192.0.2.200'));
});
