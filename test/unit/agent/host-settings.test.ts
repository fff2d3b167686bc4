/** Settings of the host that pods need: told with their remedy, in the families that are on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostTroubles } from '../../../src/agent/host-settings.js';

const told = (settings: Record<string, string>, families: readonly (4 | 6)[], isIptables = true) =>
  hostTroubles({ families, isIptables }, (name) => settings[name] ?? null);
const well = {
  'net.ipv4.ip_forward': '1',
  'net.ipv6.conf.all.forwarding': '1',
  'net.bridge.bridge-nf-call-iptables': '1',
  'net.bridge.bridge-nf-call-ip6tables': '1',
};

test('where all is on there is nothing to tell', () => {
  assert.deepEqual(told(well, [4, 6]), []);
});

test('forwarding that is off passes, and is told in the families that are on', () => {
  const off = { ...well, 'net.ipv4.ip_forward': '0', 'net.ipv6.conf.all.forwarding': '0' };
  const names = (families: readonly (4 | 6)[]) =>
    told(off, families).map(({ text, passes }) => [text.replace(/ .*/, ''), passes]);
  assert.deepEqual(names([4]), [['net.ipv4.ip_forward', true]]);
  assert.deepEqual(names([6]), [['net.ipv6.conf.all.forwarding', true]]);
  assert.equal(names([4, 6]).length, 2);
  assert.match(told(off, [4])[0]?.text ?? '', /"sysctl -w net\.ipv4\.ip_forward=1"/);
});

test('bridges without iptables: the module is named where it is missing, the setting where it is off', () => {
  const { 'net.bridge.bridge-nf-call-iptables': _, ...missing } = well;
  const [trouble, ...more] = told(missing, [4, 6]);
  assert.deepEqual([trouble?.passes, more], [false, []]);
  assert.match(
    trouble?.text ?? '',
    /^net\.bridge\.bridge-nf-call-iptables is not there: .*"modprobe br_netfilter"/,
  );
  assert.match(
    told({ ...well, 'net.bridge.bridge-nf-call-ip6tables': '0' }, [4, 6])[0]?.text ?? '',
    /^net\.bridge\.bridge-nf-call-ip6tables is 0: .*"sysctl -w net\.bridge\.bridge-nf-call-ip6tables=1"/,
  );
  assert.deepEqual(told(missing, [4], false), [], 'in nftables mode it is not asked for, as by flannel');
});
