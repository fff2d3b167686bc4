import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chooseUnderlay, type HostNetwork, type UnderlayRequest } from '../../../src/agent/underlay.js';
import { TwillError } from '../../../src/errors.js';
import { IpAddress, type IpFamily } from '../../../src/net/ip.js';

const permanent = 0x80;
const address = (index: number, text: string, flags = permanent) => ({
  index,
  address: IpAddress.parse(text),
  flags,
});
const route = (family: IpFamily, index: number, priority = 0) => ({ family, index, priority });

const host: HostNetwork = {
  links: [
    { index: 1, name: 'lo', mtu: 65536 },
    { index: 2, name: 'eth0', mtu: 1500 },
    { index: 3, name: 'eth1', mtu: 9000 },
    { index: 4, name: 'dummy0', mtu: 1400 },
  ],
  addresses: [
    address(1, '127.0.0.1'),
    address(1, '::1'),
    address(2, '169.254.7.7'),
    address(2, '192.0.2.10'),
    address(2, '192.0.2.11'),
    address(2, 'fe80::2'),
    address(2, '2001:db8::dead', 0x20 | permanent),
    address(2, '2001:db8::7e', 0x01),
    address(2, '2001:db8::10'),
    address(3, '198.51.100.20'),
    address(3, '2001:db8:1::20'),
  ],
  defaultRoutes: [route(4, 3, 200), route(4, 2, 100), route(6, 2, 1024)],
};

function choose(request: Partial<UnderlayRequest>, network: HostNetwork = host) {
  const chosen = chooseUnderlay({ iface: [], ifaceRegex: [], families: [4], ...request }, network);
  const { address: v4, addressV6: v6, publicIp, publicIpv6 } = chosen;
  return {
    name: chosen.interface,
    mtuBytes: chosen.mtuBytes,
    ...{
      v4: v4?.toString(),
      v6: v6?.toString(),
      publicIp: publicIp?.toString(),
      publicIpv6: publicIpv6?.toString(),
    },
  };
}

function refused(request: Partial<UnderlayRequest>, network: HostNetwork, message: RegExp) {
  assert.throws(
    () => choose(request, network),
    (error) =>
      error instanceof TwillError && error.code === 'ERR_TWILL_INTERFACE' && message.test(error.message),
  );
}

describe('choice of the underlay interface', () => {
  test('the default route of the lowest metric, global before link-local', () => {
    const chosen = choose({});
    assert.deepEqual(chosen, {
      name: 'eth0',
      mtuBytes: 1500,
      v4: '192.0.2.10',
      v6: undefined,
      publicIp: '192.0.2.10',
      publicIpv6: undefined,
    });
  });

  test('a public IP that an interface carries chooses that interface', () => {
    assert.equal(choose({ publicIp: IpAddress.parse('198.51.100.20') }).name, 'eth1');
    // A second address of an interface is the one to send from: peers accept nothing else from us.
    assert.equal(choose({ publicIp: IpAddress.parse('192.0.2.11') }).v4, '192.0.2.11');
  });

  test('dual stack: public IPs of one interface choose it, those of two are refused', () => {
    const request = { families: [4, 6] as const, publicIpv6: IpAddress.parse('2001:db8:1::20') };
    const chosen = choose({ ...request, publicIp: IpAddress.parse('198.51.100.20') });
    assert.deepEqual([chosen.name, chosen.v4, chosen.v6], ['eth1', '198.51.100.20', '2001:db8:1::20']);
    // One of them suffices, and the other may be that of a NAT.
    const nat = choose({ ...request, publicIp: IpAddress.parse('203.0.113.9') });
    assert.deepEqual([nat.name, nat.v4, nat.publicIp], ['eth1', '198.51.100.20', '203.0.113.9']);
    assert.equal(choose(request).name, 'eth1');
    refused(
      { ...request, publicIp: IpAddress.parse('192.0.2.10') },
      host,
      /eth0 carries 192\.0\.2\.10, and eth1 2001:db8:1::20: name one interface with --iface/,
    );
  });

  test('a public IP that no interface carries is advertised over the default route', () => {
    const chosen = choose({ publicIp: IpAddress.parse('203.0.113.9') });
    assert.deepEqual([chosen.name, chosen.v4, chosen.publicIp], ['eth0', '192.0.2.10', '203.0.113.9']);
  });

  test('--iface by name or address, the first hit', () => {
    assert.equal(choose({ iface: ['nope0', 'eth1', 'eth0'] }).name, 'eth1');
    assert.equal(choose({ iface: ['198.51.100.99', '198.51.100.20'] }).name, 'eth1');
    assert.equal(choose({ iface: ['192.0.2.11'] }).v4, '192.0.2.11');
    const nat = choose({ iface: ['eth1'], publicIp: IpAddress.parse('203.0.113.9') });
    assert.deepEqual([nat.v4, nat.publicIp], ['198.51.100.20', '203.0.113.9']);
    assert.equal(choose({ iface: ['eth0'], publicIp: IpAddress.parse('192.0.2.11') }).v4, '192.0.2.11');
  });

  test('--iface by an IPv6 address in any form', () => {
    const chosen = choose({ iface: ['2001:DB8:1:0::20'], families: [6] });
    assert.deepEqual([chosen.name, chosen.v6], ['eth1', '2001:db8:1::20']);
  });

  test('with IPv6 alone a node says nothing of IPv4, though its interface has it', () => {
    const chosen = choose({ iface: ['eth1'], families: [6], publicIp: IpAddress.parse('203.0.113.9') });
    assert.deepEqual([chosen.v4, chosen.publicIp], [undefined, undefined]);
    assert.deepEqual([chosen.v6, chosen.publicIpv6], ['2001:db8:1::20', '2001:db8:1::20']);
  });

  test('--iface-regex over addresses first, then over names; after --iface', () => {
    assert.equal(choose({ ifaceRegex: ['^198\\.51'] }).name, 'eth1');
    assert.equal(choose({ ifaceRegex: ['eth[1-9]'] }).name, 'eth1');
    assert.equal(choose({ ifaceRegex: ['2\\.11$'] }).v4, '192.0.2.11');
    assert.equal(choose({ iface: ['eth0'], ifaceRegex: ['^198\\.51'] }).name, 'eth0');
    // The first pattern that hits, in whichever way: a name of an earlier one goes before an address of a later one.
    assert.equal(choose({ ifaceRegex: ['zzz', '^eth1$', '^192'] }).name, 'eth1');
    assert.equal(choose({ ifaceRegex: ['(?i)^ETH[[:digit:]]$'] }).name, 'eth0');
    // Dual stack: one interface must match with both families.
    assert.equal(choose({ ifaceRegex: ['20$'], families: [4, 6] }).name, 'eth1');
    refused({ ifaceRegex: ['('] }, host, /no regular expression/);
  });

  test('--iface-can-reach by the kernel’s own answer', () => {
    const target = IpAddress.parse('198.51.100.200');
    const network = { ...host, canReach: { index: 3, source: IpAddress.parse('198.51.100.20') } };
    assert.deepEqual(choose({ ifaceCanReach: target }, network).v4, '198.51.100.20');
    refused({ ifaceCanReach: target }, host, /--iface-can-reach=198\.51\.100\.200/);
    // It is tried last: what comes before it may hit.
    assert.equal(choose({ iface: ['eth0'], ifaceCanReach: target }, host).name, 'eth0');
    // The kernel names `lo` for an address of our own.
    const own = { ...host, canReach: { index: 1, source: IpAddress.parse('198.51.100.20') } };
    assert.equal(choose({ ifaceCanReach: IpAddress.parse('198.51.100.20') }, own).name, 'eth1');
  });

  test('dual stack takes an address of each family: lasting before temporary, never a deprecated one', () => {
    const chosen = choose({ families: [4, 6] });
    assert.deepEqual(
      [chosen.v4, chosen.v6, chosen.publicIpv6],
      ['192.0.2.10', '2001:db8::10', '2001:db8::10'],
    );
  });

  test('errors name what was asked for and what there is', () => {
    refused(
      { iface: ['nope0'], ifaceRegex: ['zzz'] },
      host,
      /--iface=nope0 or --iface-regex=zzz.*eth0 \(169\.254\.7\.7, 192\.0\.2\.10/,
    );
    refused({}, { ...host, defaultRoutes: [] }, /no IPv4 default route.*--iface.*dummy0 \(no address\)/);
    refused({ iface: ['dummy0'] }, host, /dummy0 has no usable IPv4 address/);
    refused({ iface: ['lo'] }, host, /lo has no usable IPv4 address/);
    const split = { ...host, defaultRoutes: [route(4, 2), route(6, 3)] };
    refused({ families: [4, 6] }, split, /IPv4 default route leads to eth0, that of IPv6 to eth1/);
    refused({ iface: ['eth0'] }, { ...host, links: [{ index: 2, name: 'eth0', mtu: 0 }] }, /no MTU/);
  });

  test('an IPv6 link-local address is nobody’s endpoint', () => {
    const narrow = { ...host, addresses: [address(4, '203.0.113.4'), address(4, 'fe80::4')] };
    refused({ iface: ['dummy0'], families: [4, 6] }, narrow, /^interface dummy0 has no usable IPv6 address/);
    assert.equal(choose({ iface: ['dummy0'] }, narrow).v4, '203.0.113.4');
  });

  test('an address that we have stays ours while it is usable, whatever comes beside it', () => {
    const network = (...addresses: HostNetwork['addresses']) => ({ ...host, addresses });
    const stay = (request: Partial<UnderlayRequest>, before: HostNetwork, after: HostNetwork) => {
      const whole = { iface: ['eth0'], ifaceRegex: [], families: [4] as readonly IpFamily[], ...request };
      const { address: v4, addressV6 } = chooseUnderlay(whole, after, chooseUnderlay(whole, before));
      return `${v4 ?? addressV6}`;
    };
    const [one, other] = [address(2, '2001:db8::1'), address(2, '2001:db8::77')];
    const v6 = { families: [6] as const };
    assert.equal(stay(v6, network(one), network(other, one)), '2001:db8::1');
    assert.equal(
      stay({ ...v6, iface: [], ifaceRegex: ['^2001'] }, network(one), network(other, one)),
      '2001:db8::1',
    );
    assert.equal(stay(v6, network(one), network(other)), '2001:db8::77');
    const deprecated = address(2, '2001:db8::1', 0x20 | permanent);
    assert.equal(stay(v6, network(one), network(deprecated, other)), '2001:db8::77');
    // What an interface gives itself while it waits for DHCP.
    const [own, given] = [address(2, '169.254.7.7'), address(2, '192.0.2.9')];
    assert.equal(stay({}, network(own), network(own, given)), '192.0.2.9');
    assert.equal(stay({}, network(own), network(own, address(2, '169.254.9.9'))), '169.254.7.7');
  });
});
