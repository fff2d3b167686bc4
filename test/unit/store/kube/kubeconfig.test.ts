/** kubeconfig: what is taken from it, and that no message shows what stands there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { parseKubeconfig } from '../../../../src/store/kube/kubeconfig.js';

const base64 = (text: string) => Buffer.from(text).toString('base64');

function config(user: string, cluster = 'server: https://192.0.2.9:6443'): string {
  return `apiVersion: v1
kind: Config
current-context: here
contexts:
- name: elsewhere
  context: {cluster: b, user: b}
- name: here
  context: {cluster: a, user: a}
clusters:
- name: a
  cluster:
    ${cluster}
users:
- name: a
  user:
    ${user}
`;
}

test('a token, a CA as data, and the names of files beside the kubeconfig', () => {
  const text = config(
    'token: geheim',
    `server: https://h:6443\n    certificate-authority-data: ${base64('PEM')}`,
  );
  const found = parseKubeconfig(text, '/etc/kube/config');
  assert.equal(found.user.token?.reveal(), 'geheim');
  assert.deepEqual([found.server, found.ca, found.isUnverified], ['https://h:6443', 'PEM', false]);
  assert.ok(!inspect(found, { depth: 9 }).includes('geheim'));
  const files = 'client-certificate: ../pki/c.pem\n    client-key: /k.pem\n    tokenFile: t';
  const cluster =
    'server: https://h\n    certificate-authority: ca.pem\n    tls-server-name: api\n    insecure-skip-tls-verify: true';
  const { user, caFile, serverName, isUnverified } = parseKubeconfig(
    config(files, cluster),
    '/etc/kube/config',
  );
  assert.deepEqual(user, { certFile: '/etc/pki/c.pem', keyFile: '/k.pem', tokenFile: '/etc/kube/t' });
  assert.deepEqual([caFile, serverName, isUnverified], ['/etc/kube/ca.pem', 'api', true]);
});

test('certificates as data; the key is a secret; JSON is YAML', () => {
  const text = JSON.stringify({
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
    clusters: [{ name: 'k', cluster: { server: 'http://192.0.2.9:8080' } }],
    users: [
      { name: 'u', user: { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') } },
    ],
  });
  const { user } = parseKubeconfig(text, 'x');
  assert.deepEqual([user.cert, user.key?.reveal()], ['CERT', 'KEY']);
  assert.ok(!inspect(user).includes('KEY'));
});

test('a kubeconfig of a server alone, as flannel takes it', () => {
  const text =
    'current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\nclusters: [{name: k, cluster: {server: "http://h"}}]';
  assert.deepEqual(parseKubeconfig(text, 'x'), { server: 'http://h', isUnverified: false, user: {} });
});

const secret = 's3cr3t-t0ken';
for (const [what, text, message] of [
  ['no YAML', `users:\n- token: [${secret}\n  x: {{`, /^\/c: line \d+ is no YAML \([A-Z_]+\)$/],
  ['an alias to nothing', `a: *${secret}`, /^\/c: /],
  ['a list', `- ${secret}`, /^\/c: it is no kubeconfig$/],
  ['another context', config(`token: ${secret}`).replace('name: here', 'name: there'), /no context "here"$/],
  [
    'another cluster',
    config(`token: ${secret}`).replace('- name: a\n  cluster', '- name: z\n  cluster'),
    /no cluster "a"$/,
  ],
  [
    'no context at all',
    config(`token: ${secret}`).replace('current-context: here', ''),
    /no current-context$/,
  ],
  ['a program', config(`exec: {command: ${secret}}`), /its user needs exec, and Twill runs no program/],
  ['an old plugin', config(`auth-provider: {name: ${secret}}`), /needs auth-provider/],
  ['a password', config(`password: ${secret}`), /has a password/],
  ['no base64', config(`client-key-data: "${secret}!"`), /its client-key-data is no base64$/],
  ['a server with a user', config('token: x', `server: https://u:${secret}@h`), /its server: .* is wrong/],
] as const) {
  test(`refused without showing it: ${what}`, () => {
    assert.throws(
      () => parseKubeconfig(text, '/c'),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ERR_TWILL_STORE');
        assert.match(error.message, message);
        assert.ok(!inspect(error).includes(secret), inspect(error));
        return true;
      },
    );
  });
}

test('a bomb of aliases does not go off', () => {
  const levels = Array.from(
    { length: 20 },
    (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`,
  );
  assert.throws(() => parseKubeconfig(`a0: &a0 x\n${levels.join('\n')}`, '/c'), /aliases cannot be resolved/);
});
