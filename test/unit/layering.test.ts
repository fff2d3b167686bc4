/** Every file of src/ and native/ against the table of who may use whom; and the checker against broken files. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { layerViolations } from '../support/layer-check.js';
import { nativeLayers, typeScriptLayers } from '../support/layers.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

function files(folder: string, suffix: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => suffix.test(name))
    .map((name) => `${folder}/${name}`);
}

test('every import and include is one that the table allows', () => {
  const paths = [...files('src', /\.ts$/), ...files('native', /\.(cc|h|def)$/)];
  assert.ok(paths.length > 100, `only ${paths.length} files found`);
  const found = paths.flatMap((path) => layerViolations(path, readFileSync(join(root, path), 'utf8')));
  assert.deepEqual(found, []);
});

for (const [what, layers] of Object.entries({ src: typeScriptLayers, native: nativeLayers })) {
  test(`the table of ${what}/ names its own layers only, and has no cycle`, () => {
    const reaches = (from: string, seen: readonly string[]): void => {
      assert.ok(!seen.includes(from), `cycle: ${[...seen, from].join(' -> ')}`);
      const layer = layers[from];
      assert.ok(layer, `${seen.at(-1)} uses ${from}, which is not in the table`);
      for (const next of layer.uses) reaches(next, [...seen, from]);
    };
    for (const name of Object.keys(layers)) reaches(name, []);
  });
}

/** One line that a file must not have, each caught by a rule of its own. */
const forbidden: [path: string, line: string, why: RegExp][] = [
  ['src/net/ip.ts', "import { openStore } from '../store/open.js';", /net must not import store/],
  ['src/lease/codec.ts', "import type { Backend } from '../backend/backend.js';", /lease must not import/],
  ['src/store/open.ts', "export { Agent } from '../agent/agent.js';", /store must not import agent/],
  ['src/agent/agent.ts', "const late = await import('../cli/run.js');", /agent must not import cli/],
  ['src/native/binding.ts', "type P = import('../dataplane/plane.js').Plane;", /native must not import/],
  ['src/wire/vxlan.ts', "import { Engine } from '../dataplane/engine.js';", /wire must not import/],
  ['src/errors.ts', "import { Prefix } from './net/prefix.js';", /errors\.ts must not import net/],
  ['src/index.ts', "export { Agent } from './agent/agent.js';", /index\.ts must not import agent/],
  ['src/cli/run.ts', "import { packet } from '../../test/support/packets.js';", /outside src/],
  ['src/config/net-conf.ts', "import { readFileSync } from 'node:fs';", /pure and must not import node:fs/],
  ['src/backend/udp.ts', "import { connect } from 'net';", /pure and must not import net/],
  ['src/wire/ip.ts', "import { setTimeout } from 'node:timers/promises';", /pure and must not import/],
  ['src/agent/agent.ts', "import pino from 'pino';", /agent must not import package pino/],
  ['src/agent/agent.ts', "import { exit } from 'node:process';", /agent must not import node:process/],
  ['src/lease/allocate.ts', 'const now = Date.now();', /pure and must not use Date\.now/],
  ['src/lease/allocate.ts', 'const now = new Date();', /pure and must not use new Date\(\)/],
  ['src/net/mac.ts', 'const dice = Math.random;', /pure and must not use Math\.random/],
  ['src/net/mac.ts', 'const own = process.pid;', /pure and must not use process/],
  ['src/backend/mtu.ts', 'setTimeout(() => {}, 1);', /pure and must not use setTimeout/],
  ['src/agent/agent.ts', "console.log('here');", /agent must not use console/],
  ['src/lab/traffic.ts', 'process.exit(1);', /lab must not use process\.exit/],
  ['src/lab/traffic.ts', "process['exit'](1);", /lab must not use process\.exit/],
  ['src/firmware/x.ts', '', /src\/firmware has no place/],
  ['native/path/decap_path.cc', '#include <sys/socket.h>', /pure and must not include <sys\/socket\.h>/],
  ['native/path/decap_path.cc', '#include "port/port.h"', /path must not include port/],
  ['native/path/encap_path.cc', '#include <base/clock.h>', /pure and must not include base\/clock\.h/],
  ['native/path/encap_path.cc', '#include <chrono>', /pure and must not include chrono/],
  ['native/encap/vxlan.cc', '#include <netinet/in.h>', /pure and must not include/],
  ['native/encap/vxlan.cc', '#include <napi.h>', /encap must not include <napi\.h>/],
  ['native/encap/vxlan.h', '  #  include "base/fd.h"', /pure and must not include base\/fd\.h/],
  ['native/engine/engine.h', '#include <napi.h>', /engine must not include <napi\.h>/],
  ['native/engine/engine.cc', '#include "encap/vxlan.h"', /engine must not include encap/],
  ['native/engine/worker.cc', '#include "netlink/link.h"', /engine must not include netlink/],
  ['native/port/tun.cc', '#include "table/peer_table.h"', /port must not include table/],
  ['native/offload/segment.cc', '#include "port/tun.h"', /offload must not include port/],
  ['native/table/peer_table.h', '#include "buffer/pool.h"', /table must not include buffer/],
  ['native/base/fd.h', '#include "wire/ip.h"', /base must not include wire/],
  ['native/engine/worker.cc', '#include "traffic/ping.h"', /engine must not include traffic/],
  ['native/wire/ip.cc', '#include "ip.h"', /names no folder/],
  ['native/extra/x.h', '', /native\/extra has no place/],
];
for (const [path, line, why] of forbidden) {
  test(`caught: ${line || path} in ${path}`, () => {
    const before = `${path.startsWith('src/') ? '' : '#pragma once\n'}\n`;
    const found = layerViolations(path, `${before}${line}\n`);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0] ?? '', why);
  });
}

test('what only looks forbidden is not', () => {
  const text = `
    // Date.now() and console.log in a comment
    const text = "process.exit(1); import('../store/open.js')";
    const it = { process: 1, console: 2 };
    const n = it.process + it.console;
    export const at = new Date(0);
  `;
  assert.deepEqual(layerViolations('src/net/ip.ts', text), []);
  assert.deepEqual(
    layerViolations('native/path/tunnel.h', '// #include <sys/socket.h>\n#include <array>'),
    [],
  );
  assert.deepEqual(
    layerViolations('native/offload/x.h', '#include "wire/ip.h"\n#include "buffer/batch.h"'),
    [],
  );
  assert.deepEqual(layerViolations('src/cli/main.ts', 'process.exit(0);\nconsole.log(1);'), []);
});
