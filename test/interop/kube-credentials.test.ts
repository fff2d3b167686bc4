/** Who we are to an API server: pods' tokens that are renewed, kubeconfigs, certificates; and that nothing of it is shown. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import { issue, makeCertificates } from '../support/certificates.js';
import {
  flannelPlan,
  followedKube,
  kubeOptionsFor,
  openKubeStore,
  startServer,
} from '../support/kube/followed.js';
import { labOnKube } from '../support/kube/lab.js';
import { cannotRun, until } from '../support/namespaces.js';

const account = 'system:serviceaccount:kube-flannel:flannel';
const skip = await cannotRun();

async function place(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'twill-credentials-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** As a kubelet does it: a new file, moved over the old one. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

test('in a pod: its CA, its token, and the next token where that is renewed', async (t) => {
  const podFiles = await place(t);
  const { caFile, caKeyFile, serverCertFile, serverKeyFile } = await makeCertificates(podFiles, {
    hosts: ['127.0.0.1'],
  });
  const tls = { certFile: serverCertFile, keyFile: serverKeyFile };
  const server = await startServer(t, { tls, tokens: { 'first-t0ken': account } });
  server.state.addNode('a', flannelPlan(1));
  await rename(caFile, join(podFiles, 'ca.crt'));
  await writeFile(join(podFiles, 'token'), 'first-t0ken\n');
  const { apiUrl: _, ...rest } = await kubeOptionsFor(t, server);
  const followed = await followedKube(t, { ...rest, podApiUrl: server.url }, { podFiles });
  await followed.hasKeys('10.100.1.0-24');
  // The old one is void from now on; the watch that stands is closed, as servers do now and then.
  server.setTokens({ 'second-t0ken': account });
  server.closeWatches();
  await until('the refusal', async () => /does not know us \(401 Unauthorized/.test(followed.trouble ?? ''));
  await replace(join(podFiles, 'token'), 'second-t0ken\n');
  server.state.addNode('b', flannelPlan(2));
  await followed.hasKeys('10.100.1.0-24 10.100.2.0-24', 60_000);
  assert.ok(server.asked.every(({ user }) => user === account));
  assert.ok(!inspect(followed, { depth: 20, showHidden: true }).includes('t0ken'));
  assert.ok(!followed.troubles.join('\n').includes('t0ken'));
  // A CA that did not sign the server's certificate, and a server by another name.
  const other = await makeCertificates(podFiles, { hosts: ['127.0.0.1'], name: 'other-' });
  await replace(join(podFiles, 'ca.crt'), await readFile(other.caFile, 'utf8'));
  await assert.rejects(followed.store.list(), {
    code: 'ERR_TWILL_STORE_UNAVAILABLE',
    message: /cannot reach the API server at https:.*(certificate|signature).*\(see the CA, the certificates/,
  });
  await replace(join(podFiles, 'ca.crt'), 'no certificate');
  await assert.rejects(followed.store.list(), /ca\.crt: a certificate in it is none: it must be PEM$/);
  await rm(join(podFiles, 'ca.crt'));
  await assert.rejects(followed.store.list(), /^TwillError: cannot read the CA of the cluster: ENOENT/);
  assert.ok(caKeyFile);
});

test('a kubeconfig with a client certificate that is renewed, and one with a token', async (t) => {
  const directory = await place(t);
  const made = await makeCertificates(directory, { hosts: ['127.0.0.1'] });
  const tls = {
    certFile: made.serverCertFile,
    keyFile: made.serverKeyFile,
    clientCaFile: made.caFile,
  };
  const server = await startServer(t, { tls, tokens: { 'a-t0ken': 'somebody' } });
  server.state.addNode('a', flannelPlan(1));
  const kubeconfigFile = join(directory, 'kubeconfig');
  const config = (user: string) => `current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "${server.url}", certificate-authority: ca.pem}}]
users: [{name: u, user: ${user}}]
`;
  const { apiUrl: _, ...options } = await kubeOptionsFor(t, server);
  const store = await openKubeStore(t, { ...options, kubeconfigFile });
  const users = async () => {
    server.asked.length = 0;
    assert.equal((await store.list()).records.length, 1);
    return server.asked.map(({ user }) => user);
  };
  await writeFile(kubeconfigFile, config('{client-certificate: client.pem, client-key: client.key}'));
  assert.deepEqual(await users(), ['root']);
  const renewed = {
    cn: 'system:node:own',
    hosts: [],
    certFile: made.clientCertFile,
    keyFile: made.clientKeyFile,
  };
  await issue(made, renewed);
  assert.deepEqual(await users(), ['system:node:own']);
  await replace(kubeconfigFile, config('{token: a-t0ken}'));
  assert.deepEqual(await users(), ['somebody']);
  await writeFile(join(directory, 'token'), ' a-t0ken \n');
  await replace(kubeconfigFile, config('{tokenFile: token, token: wrong}'));
  assert.deepEqual(await users(), ['somebody']);
  await replace(kubeconfigFile, config('{token: wr0ng-secret}'));
  await assert.rejects(store.list(), (error: Error) => {
    assert.match(
      error.message,
      /does not know us \(401 Unauthorized Unauthorized\): check the token or the certificate$/,
    );
    assert.ok(!inspect(error).includes('wr0ng-secret'));
    return true;
  });
  await replace(kubeconfigFile, config('{}'));
  await assert.rejects(store.list(), /does not let us list nodes \(403 Forbidden .*system:anonymous/);
});

test('nothing that an agent says holds its token', { skip }, async (t) => {
  const token = 's3cr3t-t0ken-of-a-pod';
  const lab = await labOnKube(t, { Backend: { Type: 'vxlan' } }, { nodes: 1, tokens: { [token]: account } });
  const kubeconfig = join(lab.directory, 'kubeconfig');
  await writeFile(
    kubeconfig,
    `current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "${lab.api.url}"}}]
users: [{name: u, user: {token: ${token}}}]
`,
  );
  await lab.api.addNode('n0', { podCidrs: ['10.77.0.0/24'] });
  const agent = lab.node(0);
  agent.storeFlags = [
    ...agent.storeFlags.filter((flag) => !flag.includes('api-url')),
    `--kubeconfig-file=${kubeconfig}`,
  ];
  agent.run(['--log-level=trace']);
  const status = JSON.stringify(await agent.started());
  await lab.api.setTokens({ another: account });
  await lab.api.closeWatches();
  await until('the refusal', async () => /does not know us/.test(agent.stderr));
  await lab.api.stop();
  await until('it is away', async () => /cannot reach the API server/.test(agent.stderr), 60_000);
  const told = [agent.stderr, status, JSON.stringify(await agent.status()), await agent.twill('status')].join(
    '\n',
  );
  assert.ok(told.includes('n0') || told.includes('10.77.0.0'));
  assert.ok(!told.includes(token));
  assert.ok(!(await readFile(`/proc/${agent.process?.pid}/cmdline`, 'utf8')).includes(token));
});
