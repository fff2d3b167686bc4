/** Wrong arguments: TypeError or RangeError at once, with the code, the field and the value, and nothing written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import vm from 'node:vm';
import * as codec from '../../../src/codec.js';
import { IpAddress, MacAddress } from '../../../src/codec.js';

const v4 = { source: IpAddress.parse('10.5.2.9'), destination: IpAddress.parse('10.5.1.9') };
const v6 = { source: IpAddress.parse('fd00::1'), destination: IpAddress.parse('fd00::2') };
const mac = MacAddress.parse('02:00:00:00:00:01');
const ip = { ...v4, protocol: 17, payloadBytes: 8 };
const udp = { sourcePort: 1, destinationPort: 2, payloadBytes: 4 };
const echo = { kind: 'echoRequest', id: 1, sequence: 2, payloadBytes: 4, between: v4 } as const;

/** Deliberately of the wrong type. */
function wrong<T>(value: unknown): T {
  return value as T;
}

type Into = Uint8Array<ArrayBuffer>;
const packet = new Uint8Array(28);
codec.encodeIpv4(ip, packet);
const about = codec.decodeIp(packet) as codec.IpPacket;

const cases: [kind: 'TypeError' | 'RangeError', message: RegExp, call: (into: Into) => unknown][] = [
  ['TypeError', /decodeIp: bytes must be a Uint8Array, not "4500"/, () => codec.decodeIp(wrong('4500'))],
  ['TypeError', /decodeUdp: bytes .* an array/, () => codec.decodeUdp(wrong([1, 2]))],
  ['TypeError', /decodeVxlan: bytes .* undefined/, () => codec.decodeVxlan(wrong(undefined))],
  ['TypeError', /decodeEthernet: bytes .* null/, () => codec.decodeEthernet(wrong(null))],
  ['TypeError', /decodeIcmp: bytes/, () => codec.decodeIcmp(wrong(new ArrayBuffer(8)), 4)],
  ['TypeError', /encodeIpv4: into/, () => codec.encodeIpv4(ip, wrong([]))],
  ['TypeError', /encodeIpv4: source/, (to) => codec.encodeIpv4({ ...ip, source: wrong('10.5.2.9') }, to)],
  ['RangeError', /encodeIpv4: source .* long, not 16/, (to) => codec.encodeIpv4({ ...ip, ...v6 }, to)],
  ['RangeError', /encodeIpv6: source .* long, not 4/, (to) => codec.encodeIpv6({ ...ip, ...v4 }, to)],
  ['TypeError', /encodeIpv4: ttl .* "64"/, (to) => codec.encodeIpv4({ ...ip, ttl: wrong('64') }, to)],
  ['RangeError', /encodeIpv4: ttl .* 256/, (to) => codec.encodeIpv4({ ...ip, ttl: 256 }, to)],
  ['RangeError', /encodeIpv4: tos .* -1/, (to) => codec.encodeIpv4({ ...ip, tos: -1 }, to)],
  ['RangeError', /encodeIpv4: protocol .* 1.5/, (to) => codec.encodeIpv4({ ...ip, protocol: 1.5 }, to)],
  ['RangeError', /payloadBytes .* 65516/, (to) => codec.encodeIpv4({ ...ip, payloadBytes: 65_516 }, to)],
  ['RangeError', /payloadBytes .* NaN/, (to) => codec.encodeIpv4({ ...ip, payloadBytes: Number.NaN }, to)],
  ['RangeError', /multiple of 8, not 9/, (to) => codec.encodeIpv4({ ...ip, fragmentOffset: 9 }, to)],
  ['RangeError', /options .* not 5/, (to) => codec.encodeIpv4({ ...ip, options: new Uint8Array(5) }, to)],
  ['RangeError', /options .* not 44/, (to) => codec.encodeIpv4({ ...ip, options: new Uint8Array(44) }, to)],
  ['RangeError', /into .* at least 121 bytes/, (to) => codec.encodeIpv4(ip, to, 101)],
  ['RangeError', /encodeIpv4: at .* -1/, (to) => codec.encodeIpv4(ip, to, -1)],
  ['RangeError', /encodeIpv4: at .* 0.5/, (to) => codec.encodeIpv4(ip, to, 0.5)],
  ['RangeError', /flowLabel/, (to) => codec.encodeIpv6({ ...ip, ...v6, flowLabel: 0x100000 }, to)],
  [
    'RangeError',
    /encodeUdp: sourcePort .* 65536/,
    (to) => codec.encodeUdp({ ...udp, sourcePort: 65_536 }, to),
  ],
  ['RangeError', /encodeUdp: into/, (to) => codec.encodeUdp({ ...udp, between: v4 }, to, 110)],
  [
    'RangeError',
    /encodeUdp: between: destination .* long, not 16/,
    (to) => codec.encodeUdp({ ...udp, between: { ...v4, destination: v6.destination } }, to),
  ],
  ['RangeError', /vni .* 16777216/, (to) => codec.encodeVxlan({ vni: 0x1000000 }, to)],
  ['RangeError', /encodeVxlan: into/, (to) => codec.encodeVxlan({ vni: 1 }, to, 113)],
  [
    'TypeError',
    /encodeEthernet: source/,
    (to) => codec.encodeEthernet({ destination: mac, source: wrong('02:00:00:00:00:01'), etherType: 0 }, to),
  ],
  [
    'RangeError',
    /encodeEthernet: destination .* long, not 4/,
    (to) => codec.encodeEthernet({ destination: new Uint8Array(4), source: mac, etherType: 0 }, to),
  ],
  [
    'RangeError',
    /encodeIcmpEcho: kind .* "ping"/,
    (to) => codec.encodeIcmpEcho({ ...echo, kind: wrong('ping') }, to),
  ],
  ['RangeError', /encodeIcmpEcho: into/, (to) => codec.encodeIcmpEcho(echo, to, 115)],
  [
    'TypeError',
    /encodeIcmpError: about/,
    (to) => codec.encodeIcmpError({ kind: 'timeExceeded', about: wrong({}), source: v4.source }, to),
  ],
  [
    'RangeError',
    /encodeIcmpError: kind .* "toString"/,
    (to) => codec.encodeIcmpError({ kind: wrong('toString'), about, source: v4.source }, to),
  ],
  [
    'RangeError',
    /encodeIcmpError: source .* long, not 16/,
    (to) => codec.encodeIcmpError({ kind: 'timeExceeded', about, source: v6.source }, to),
  ],
  [
    'RangeError',
    /encodeIcmpError: into/,
    (to) => codec.encodeIcmpError({ kind: 'timeExceeded', about, source: v4.source }, to, 100),
  ],
  ['TypeError', /encodeFlannelUdp: packet/, (to) => codec.encodeFlannelUdp(wrong({}), to)],
  ['RangeError', /encodeFlannelUdp: into/, (to) => codec.encodeFlannelUdp(packet, to, 100)],
  ['RangeError', /setEcn: ecn .* 4/, () => codec.setEcn(about, 4)],
  ['TypeError', /internetChecksum/, () => codec.internetChecksum(wrong('abc'))],
];

for (const [kind, message, call] of cases) {
  test(`${kind}: ${message.source}`, () => {
    const into = new Uint8Array(120);
    assert.throws(
      () => call(into),
      (error: Error & { code?: string }) => {
        assert.equal(error.name, kind);
        assert.equal(error.code, 'ERR_TWILL_ARGUMENT');
        assert.match(error.message, message);
        assert.ok(!error.message.includes('\n'));
        return true;
      },
    );
    assert.ok(into.every((byte) => byte === 0));
  });
}

test('a TTL of 0 cannot be lowered', () => {
  const spent = new Uint8Array(20);
  codec.encodeIpv4({ ...ip, ttl: 0, payloadBytes: 0 }, spent);
  const before = Uint8Array.from(spent);
  assert.throws(() => codec.decrementTtl(codec.decodeIp(spent) as codec.IpPacket), RangeError);
  assert.deepEqual(spent, before);
});

test('bytes of another realm are bytes', () => {
  const foreign = vm.runInNewContext('new Uint8Array(28)') as Uint8Array;
  assert.ok(!(foreign instanceof Uint8Array));
  assert.equal(codec.encodeIpv4(ip, foreign), 20);
  const found = codec.decodeIp(foreign);
  assert.ok('ttl' in found && found.ttl === 64);
});

test('memory that threads share is bytes', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(28));
  assert.equal(codec.encodeIpv4(ip, shared), 20);
  assert.equal((codec.decodeIp(shared) as codec.IpPacket).protocol, 17);
});
