import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { optionsOf } from '../../../src/cli/bench.js';
import { benchTables, ratioText } from '../../../src/cli/bench-table.js';
import { dispatch } from '../../../src/cli/dispatch.js';
import { wholeResult } from '../../support/bench-result.js';

describe('twill bench', () => {
  const defaults = { underlay: 'all', systems: '', rounds: 0, seconds: 0 };

  test('flags become options', () => {
    assert.deepEqual(optionsOf(defaults), {
      ...{ isQuick: false, underlays: ['veth', 'wire'], systems: null, rounds: null, seconds: null },
      ...{ withPods: false, withPeers: false, withOffloads: false },
    });
    const given = {
      quick: true,
      underlay: 'wire',
      systems: 'kernel, loop,',
      rounds: 2,
      seconds: 9,
      pods: true,
      peers: true,
      offloads: true,
    };
    assert.deepEqual(optionsOf(given), {
      ...{ isQuick: true, underlays: ['wire'], systems: ['kernel', 'loop'], rounds: 2, seconds: 9 },
      ...{ withPods: true, withPeers: true, withOffloads: true },
    });
  });

  test('an unknown system or underlay is a wrong usage that names those there are', async () => {
    for (const [flag, expected] of [
      ['--systems=kernal', /no system is called "kernal": choose from raw, kernel, twill-vxlan/],
      ['--underlay=wires', /underlay="wires" is wrong: write one of all, veth, wire/],
      ['extra', /unexpected argument: extra/],
    ] as const) {
      const lines: string[] = [];
      const io = { stdout: assert.fail, stderr: (line: string) => lines.push(line), env: {} };
      const code = await dispatch(['bench', flag], { ...io, signal: new AbortController().signal });
      assert.equal(code, 2);
      assert.match(lines.join('\n'), expected);
    }
  });

  test('the tables: floors with their verdict, every system, and what went wrong', () => {
    const result = wholeResult();
    const lines = benchTables(result);
    assert.equal(lines[0], 'Twill 0.1.0 (0123456789ab), 2030-01-02T03:04:05.000Z, node to node');
    assert.equal(lines[1], '2 x Some & Other, Linux 6.18.0, Node v20.20.2');
    const text = lines.join('\n');
    assert.doesNotMatch(text, /NOTE/);
    assert.match(text, /^TCP 1 stream, of kernel vxlan +0\.96 +0\.96 - 0\.96 +at least 0\.75 +met$/m);
    assert.match(text, /^64 B packets, overload, of kernel vxlan +0\.96 .* at least 1\.90 +MISSED$/m);
    assert.match(text, /^CPU per Gbit, of flannel's loop +0\.153 .* at most 0\.167 +met$/m);
    assert.match(text, /^kernel vxlan +7\.68 +7\.68 +7\.68 +7\.68 +0\.192 +1440 +240 +269 /m);
    assert.match(text, /^of flannel's loop +TCP 1 +TCP 4 +s\/Gbit +64 B loss-free /m);
    assert.match(text, /^Twill vxlan +7\.67 \(7\.67-7\.67\) +7\.67 /m);
    assert.match(text, /^wire: loop: tcp4 failed: iperf3: <unable> to connect$/m);
    assert.match(text, /^not measured: nebula: apt-get install nebula$/m);
    assert.match(
      benchTables({ ...result, foreignProcessors: 0.7 }).join('\n'),
      /^NOTE: others kept 0\.70 processors busy/m,
    );
  });

  test("the sender's limit is marked; what was not measured is a dash", () => {
    const result = wholeResult();
    const [veth] = result.underlays;
    const kernel = veth?.systems.find(({ name }) => name === 'kernel');
    if (!veth || !kernel) throw new Error('there are systems');
    const samples = { ...kernel.samples, 'udp64.sender-limited': [1, 1, 1], 'tcp4.rate': [null, null] };
    const lines = benchTables({ ...result, underlays: [{ ...veth, systems: [{ ...kernel, samples }] }] });
    assert.match(lines.join('\n'), /^kernel vxlan +7\.68 +7\.68 +7\.68 +0\.192 +1440 +240\* /m);
  });

  test('ratios have the digits that say something', () => {
    assert.deepEqual([0.0953, 0.49, 0.96, 7.04].map(ratioText), ['0.095', '0.490', '0.96', '7.04']);
  });
});
