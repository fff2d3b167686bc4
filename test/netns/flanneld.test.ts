/** Twill in the place of flanneld: the name, the flags, the environment and the health port, as a process. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { labOfTwo } from '../support/agent-node.js';
import { base, cannotRun, cli, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();

test("under the name flanneld, through a link: no subcommand, flannel's defaults", {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes, directory } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  const link = join(directory, 'flanneld');
  await symlink(cli, link);
  // As a shell starts it, by its first line.
  const version = await a.namespace.exec(link, ['--version']);
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
  assert.deepEqual(await a.get('/healthz'), { status: 200, text: 'flanneld is running' });
  assert.deepEqual(await a.get('/readyz'), { status: 200, text: 'flanneld is ready' });
  assert.match(await readFile(a.subnetFile, 'utf8'), /^FLANNEL_IPMASQ=true\n/m);
  // Without being asked, too: what is forwarded is accepted.
  const { stdout: rules } = await a.namespace.exec('iptables-save', []);
  assert.match(rules, /^-A FLANNEL-POSTRTG .* -j MASQUERADE --random-fully$/m);
  assert.match(rules, /^-A FLANNEL-FWD -s 10\.77\.0\.0\/16 .* -j ACCEPT$/m);
  assert.deepEqual(a.logged('warn'), []);
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
  assert.equal((await a.get('/readyz')).status, 200);
  await a.namespace.ip('link', 'set', node.device, 'down');
  await until('not ready', async () => (await a.get('/readyz')).status === 503);
  assert.match((await a.get('/readyz')).text, /^flanneld is not ready yet\ndevice: it is down/);
  assert.equal((await a.get('/healthz')).status, 200);
  assert.match(await a.twill('status'), /^ready +NO: device: it is down/m);
  await a.namespace.ip('link', 'set', node.device, 'up');
  await until('ready again', async () => (await a.get('/readyz')).status === 200);
});

test('a stop that waits for somebody is over in three seconds, or at once by a second signal', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a] = nodes;
  // Half a request holds the health server up.
  const half = `
import socket, time
s = socket.create_connection(("127.0.0.1", 8081))
s.send(b"GET /healthz HTTP/1.1\\r\\n")
print("sent", flush=True)
time.sleep(60)`;
  const begin = async () => {
    const child = a.run(['--healthz-port=8081']);
    await a.started();
    const asking = a.namespace.spawn('python3', ['-c', half], { stdio: ['ignore', 'pipe', 'ignore'] });
    assert.ok(asking.stdout);
    await once(asking.stdout, 'data');
    const end = once(child, 'exit');
    child.kill('SIGTERM');
    await until('it stops', async () => a.logged('info').includes('stopping on a signal'));
    return { child, end };
  };
  const patient = await begin();
  assert.deepEqual(await patient.end, [0, null]);
  const { child, end } = await begin();
  // What comes in the first half second counts as the same wish.
  const again = setInterval(() => child.kill('SIGTERM'), 100);
  t.after(() => clearInterval(again));
  assert.deepEqual(await end, [128 + 15, null]);
});
