/**
 * `twill capture -r` on captures that others made, against what tcpdump printed of them. `TWILL_CAPTURES` names the folder;
 * without it these cases are left out.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodePassed, type Passed, passedLine } from '../../src/capture/passed.js';
import { CaptureReader } from '../../src/pcap/capture-reader.js';

const folder = process.env['TWILL_CAPTURES'] || undefined;
if (folder === undefined)
  console.log('TWILL_CAPTURES is not set: the tests of captured traffic are left out');

function passed(name: string): Passed[] {
  const reader = new CaptureReader();
  const frames = [...reader.push(readFileSync(join(folder ?? '', name)))];
  reader.end();
  return frames.map((frame) => decodePassed(frame));
}

const printed = (name: string) => readFileSync(join(folder ?? '', name), 'utf8');
const withoutTime = (line: string) => line.replace(/^\S+ /, '');

if (folder !== undefined) {
  for (const name of ['vxlan', 'vxlan_port_8472']) {
    test(`${name}: every outer and inner packet as tcpdump prints it`, () => {
      // A line for the outer packet, one for the inner frame.
      const lines = printed(`tcpdump/${name}.out`)
        .split('\n')
        .filter((line) => line !== '');
      const found = passed(`tcpdump/${name}.pcap`);
      assert.equal(found.length * 2, lines.length);
      for (const [i, { tunnel, packet, frame }] of found.entries()) {
        const outer = lines[2 * i] ?? '';
        const inner = lines[2 * i + 1] ?? '';
        assert.ok(tunnel?.macs);
        const { source, destination, sourcePort, destinationPort } = tunnel.outer;
        assert.ok(
          outer.includes(`${source}.${sourcePort} > ${destination}.${destinationPort}: VXLAN`),
          outer,
        );
        assert.ok(outer.includes(`vni ${tunnel.vni}`), outer);
        assert.ok(
          outer.includes(new Date(Number(frame.timeNs / 1_000_000n)).toISOString().slice(0, 10)),
          outer,
        );
        assert.ok(inner.startsWith(`${tunnel.macs.source} > ${tunnel.macs.destination}, `), inner);
        const [, id, sequence, length] =
          /ICMP echo \w+, id (\d+), seq (\d+), length (\d+)$/.exec(inner) ?? [];
        const [, asked, asker] = /who-has (\S+) tell ([^\s,]+)/.exec(inner) ?? [];
        if (id !== undefined) {
          assert.match(
            packet.detail,
            new RegExp(`^echo (request|reply) id ${id} seq ${sequence} len ${length}$`),
          );
          assert.ok(inner.includes(`${packet.source} > ${packet.destination}: ICMP`), inner);
        } else if (asked !== undefined) assert.equal(packet.detail, `arp who has ${asked}, tell ${asker}`);
        else assert.match(packet.detail, /^arp \S+ is at ([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
      }
    });
  }

  for (const outer of [4, 6]) {
    for (const inner of [4, 6]) {
      for (const kind of ['gso', 'bigtcp']) {
        const name = `${kind}-ipv${outer}-vxlan-ipv${inner}`;
        test(`${name}: a super-frame's ports, numbers and length as tcpdump prints them`, () => {
          const [found] = passed(`tcpdump/${name}.pcap`);
          const text = printed(`tcpdump/${name}.out`);
          const numbers = /seq (\d+):(\d+), ack (\d+), win (\d+)/.exec(text);
          assert.ok(found && numbers);
          const { packet } = found;
          const [, seq, end, ack, win] = numbers.map(Number) as [number, number, number, number, number];
          assert.match(packet.detail, new RegExp(`seq ${seq} ack ${ack} win ${win} len ${end - seq}$`));
          assert.ok(
            text.includes(
              `${packet.source}.${packet.sourcePort} > ${packet.destination}.${packet.destinationPort}`,
            ),
          );
        });
      }
    }
  }

  const lines: [file: string, count: number, tunnels: number, line: RegExp][] = [
    ['tcpdump/nsh-over-vxlan-gpe.pcap', 1, 0, /4790 udp len \d+$/],
    ['zeek/vxlan.pcap', 10, 10, /vxlan 123: (.* icmp echo|arp )/],
    ['zeek/vxlan-encapsulated-http.pcap', 12, 12, /vxlan 1: .* tcp /],
    ['zeek/vxlan-overlapping-http-get.pcap', 42, 28, /(vxlan (4711|4242): .*)?tcp /],
    ['zeek/vxlan-encapsulated-igmp-v2.pcap', 3, 3, /vxlan 4242: .* > 224\.0\.0\.251 proto 2 len 8$/],
    ['zeek/vxlan-inner-tcp-bad-checksum.pcap', 1, 1, /vxlan \d+: .* tcp /],
    ['zeek/vxlan-triple-v2.pcap', 1, 1, /vxlan 1: .*4789 udp len 129 \(flags 0x0c, reserved bits set\)$/],
    ['zeek/geneve-vxlan-dns-truncated.pcap', 2, 0, /:6081 udp len \d+$/],
  ];
  for (const [file, count, tunnels, line] of lines) {
    test(`${file}: each frame is one line`, () => {
      const found = passed(file);
      assert.equal(found.length, count);
      assert.equal(found.filter(({ tunnel }) => tunnel !== null).length, tunnels);
      for (const one of found) assert.match(withoutTime(passedLine(one)), line);
    });
  }

  test('no capture of theirs is left out', () => {
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.pcap'),
    );
    assert.ok(files.length >= 18);
    for (const file of files) for (const one of passed(file)) assert.match(passedLine(one), /^[\x20-\x7e]+$/);
  });
}
