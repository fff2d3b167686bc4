/** A whole agent as its unit starts it: with a service manager to talk to, and with no more rights than the unit gives. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { labOfTwo } from '../support/agent-node.js';
import { readDocument } from '../support/documents.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';
import { notifySocket } from '../support/notify-socket.js';

const skip = await cannotRun();
const unit = readDocument('deploy/systemd/twill.service');

/** `setpriv` with the capabilities of the unit. */
function asInUnit(): string[] {
  const [, names = ''] = /^CapabilityBoundingSet=(.*)$/m.exec(unit) ?? [];
  const wanted = names.split(' ').map((name) => `+${name.replace('CAP_', '').toLowerCase()}`);
  assert.match(unit, /^NoNewPrivileges=yes$/m);
  return ['setpriv', `--bounding-set=-all,${wanted.join(',')}`, '--inh-caps=-all', '--no-new-privs', '--'];
}

test('systemd is told of readiness, reload and stop, and hears the heartbeat; the rights of the unit suffice', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes, directory } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  const { path, received } = await notifySocket(t, join(directory, 'notify'));
  const has = (message: string | RegExp) =>
    received.filter((text) => (typeof message === 'string' ? text === message : message.test(text))).length;
  b.run();
  const right = await b.started();
  a.environment = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '400000' };
  a.run([], asInUnit());
  await until('READY=1', async () => has('READY=1') === 1);
  assert.match(await readFile(a.subnetFile, 'utf8'), /^FLANNEL_SUBNET=/m, 'what it promises is there');
  assert.match(received[0] ?? '', /^STATUS=starting: directory /);
  const { node } = await a.status();
  assert.equal(has(`STATUS=ready: ${node.subnet} on ${node.device}`), 1);
  await until('it carries', () => pings(a.namespace, base(right.node.subnet)));
  const beats = has('WATCHDOG=1');
  await until('the heart beats', async () => has('WATCHDOG=1') >= beats + 3);

  a.process?.kill('SIGHUP');
  await until('reloaded', async () => has('READY=1') === 2);
  assert.equal(has(/^RELOADING=1\nMONOTONIC_USEC=\d+$/), 1);
  assert.ok(received.findIndex((text) => text.startsWith('RELOADING')) < received.lastIndexOf('READY=1'));

  await a.namespace.ip('link', 'set', node.device, 'down');
  await until('the status tells', async () => has(/^STATUS=not ready: device: it is down/) === 1);
  await a.namespace.ip('link', 'set', node.device, 'up');
  await until('and tells again', async () => has(/^STATUS=ready: /) === 2);
  assert.equal(has('READY=1'), 2, 'ready is said once, and after a reload');

  assert.equal(await a.stop(), 0);
  await until('STOPPING=1', async () => has('STOPPING=1') === 1);
  assert.equal(received.at(-1), 'STOPPING=1');
  assert.deepEqual(a.logged('error'), [
    `device ${node.device}: no packet can pass: it is down: "ip link set ${node.device} up" lets packets pass again`,
  ]);
});
