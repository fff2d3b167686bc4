import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainOpenFailure } from '../../../src/agent/open-failure.js';
import { TwillError } from '../../../src/errors.js';

const wanted = { port: 8472, deviceName: 'flannel.1' };
const inUse = new TwillError('ERR_TWILL_SOCKET', 'bind: address in use', { errno: 98, syscall: 'bind' });
const busy = new TwillError('ERR_TWILL_DEVICE', 'TUNSETIFF: busy', { errno: 16 });
const vxlan = { name: 'flannel.1', kind: 'vxlan', vxlan: { port: 8472 } };

function explained(error: unknown, links: Parameters<typeof explainOpenFailure>[2]): string {
  return (explainOpenFailure(error, wanted, links) as Error).message;
}

test('a port held by a kernel vxlan device names the device and the way out', () => {
  const links = [{ name: 'eth0', kind: '' }, { name: 'vx9', kind: 'vxlan', vxlan: { port: 4789 } }, vxlan];
  const why = `port 8472 is held by the kernel's vxlan device flannel.1: remove it with "ip link delete flannel.1"`;
  assert.equal(explained(inUse, links), why);
  assert.equal((explainOpenFailure(inUse, wanted, links) as TwillError).errno, 98);
});

test('a port held by a program tells how to find it', () => {
  assert.match(
    explained(inUse, [{ name: 'vx9', kind: 'vxlan', vxlan: { port: 4789 } }]),
    /port 8472 is held by another program: "ss /,
  );
});

test('a device in the way, and one in use', () => {
  assert.match(
    explained(busy, [vxlan]),
    /a vxlan device named flannel\.1 is in the way: remove it with "ip link delete flannel\.1"/,
  );
  assert.match(
    explained(busy, [{ name: 'flannel.1', kind: 'tun' }]),
    /in use by another process.*--tun-name/,
  );
});

test('anything else stays as it is', () => {
  const other = new TwillError('ERR_TWILL_PRIVILEGE', 'needs CAP_NET_ADMIN');
  assert.equal(explainOpenFailure(other, wanted, [vxlan]), other);
  const odd = new Error('odd');
  assert.equal(explainOpenFailure(odd, wanted, []), odd);
});
