/** Twill in the place of flanneld: the name, the flags, the environment and the health port, as a process. */
import assert from 'node:assert/strict';
import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type AgentNode, labOfTwo } from '../support/agent-node.js';
import { base, cannotRun, cli, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();

/** What curl in that namespace would get: status code and body. */
async function get({ namespace }: AgentNode, path: string): Promise<{ status: number; text: string }> {
  const script = `const r = await fetch('http://127.0.0.1:8081${path}'); console.log(r.status + ' ' + await r.text())`;
  const { stdout } = await namespace.exec(process.execPath, ['--input-type=module', '-e', script]);
  const [, status = '', text = ''] = /^(\d+) ([\s\S]*?)\n$/.exec(stdout) ?? [];
  return { status: Number(status), text };
}

test("under the name flanneld, through a link: no subcommand, flannel's defaults", {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes, directory } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  const link = join(directory, 'flanneld');
  await symlink(cli, link);
  const version = await a.namespace.exec(process.execPath, [link, '--version']);
  assert.match(version.stderr, /^v\d+\.\d+\.\d+\n$/);
  assert.equal(version.stdout, '');
  const wrong = await a.namespace.exec(process.execPath, [link, '--ifac=x']).catch((error) => error);
  assert.equal(wrong.cause.code, 2);
  assert.match(wrong.stderr, /^flanneld: unknown flag --ifac: did you mean --iface\?$/m);

  a.program = [link];
  a.environment = { FLANNELD_HEALTHZ_PORT: '8081' };
  a.run(['-ip-masq', '-v=1']);
  b.run();
  const [, right] = await Promise.all([a.started(), b.started()]);
  await until('it carries', () => pings(a.namespace, base(right.node.subnet)));
  assert.deepEqual(await get(a, '/healthz'), { status: 200, text: 'flanneld is running' });
  assert.deepEqual(await get(a, '/readyz'), { status: 200, text: 'flanneld is ready' });
  assert.match(await readFile(a.subnetFile, 'utf8'), /^FLANNEL_IPMASQ=true\n/m);
  const warnings = a.logged('warn').filter((line) => line.startsWith('this version does less'));
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /--ip-masq;.*--iptables-forward-rules/);
  // What people look for in flannel's log.
  const lines = a.logged('info');
  for (const pattern of [
    /^Using interface with name eth0 and address 192\.0\.2\.1$/,
    /^Found network config - Backend type: vxlan$/,
    /^Wrote subnet file to \//,
    /^Subnet added: /,
  ])
    assert.ok(
      lines.some((line) => pattern.test(line)),
      `${pattern}`,
    );
  assert.equal(await a.stop(), 0);
});

test('readiness of a running node: withdrawn while its device is down, and back', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a] = nodes;
  a.run(['--healthz-port=8081']);
  const { node } = await a.started();
  assert.equal((await get(a, '/readyz')).status, 200);
  await a.namespace.ip('link', 'set', node.device, 'down');
  await until('not ready', async () => (await get(a, '/readyz')).status === 503);
  assert.match((await get(a, '/readyz')).text, /^flanneld is not ready yet\ndevice: it is down/);
  assert.equal((await get(a, '/healthz')).status, 200);
  assert.match(await a.twill('status'), /^ready +NO: device: it is down/m);
  await a.namespace.ip('link', 'set', node.device, 'up');
  await until('ready again', async () => (await get(a, '/readyz')).status === 200);
});
