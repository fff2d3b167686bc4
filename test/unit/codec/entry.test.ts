/** What `twill/codec` brings along: nothing of Node, in its modules and in its types; and a browser that runs it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import * as codec from '../../../src/codec.js';
import { documentOf } from '../../support/browser.js';

const compiled = fileURLToPath(new URL('../../../src/', import.meta.url));

/** Every file that an entry reaches, by path below the compiled source. */
function graph(entry: string, suffix: string): Map<string, string> {
  const files = new Map<string, string>();
  const visit = (path: string) => {
    if (files.has(path)) return;
    const text = readFileSync(join(compiled, path), 'utf8');
    files.set(path, text);
    const { importedFiles, referencedFiles, typeReferenceDirectives } = ts.preProcessFile(text, true, true);
    assert.deepEqual([...referencedFiles, ...typeReferenceDirectives], [], `${path} asks for types`);
    for (const { fileName } of importedFiles) {
      assert.ok(fileName.startsWith('.'), `${path} imports ${fileName}`);
      visit(normalize(join(dirname(path), fileName)).replace(/\.js$/, suffix));
    }
  };
  visit(entry);
  return files;
}

test('its modules are few, ours, and use nothing of Node', () => {
  const files = graph('codec.js', '.js');
  assert.ok(files.size > 10, `only ${files.size} modules`);
  for (const [path, text] of files) {
    assert.match(path, /^(codec|errors|net\/\w+|wire\/[\w-]+)\.js$/);
    assert.doesNotMatch(
      text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, ''),
      /\b(Buffer|process|require|global)\b/,
    );
  }
});

test('its types need no types of Node', () => {
  for (const [path, text] of graph('codec.d.ts', '.d.ts'))
    assert.doesNotMatch(text.replace(/\/\*[\s\S]*?\*\//g, ''), /\b(Buffer|NodeJS)\b/, path);
});

test('every format has a decoder and an encoder, and no name is there that is not documented', () => {
  const names = Object.keys(codec);
  const formats = ['Ethernet', 'FlannelUdp', 'Ipv4', 'Ipv6', 'Udp', 'Vxlan'];
  for (const format of formats)
    for (const verb of ['decode', 'encode']) assert.ok(names.includes(`${verb}${format}`), format);
  const library = readFileSync(join(compiled, '../../docs/library.md'), 'utf8');
  for (const name of names) assert.ok(library.includes(name), `docs/library.md does not name ${name}`);
});

const page = `<!doctype html><title>codec</title><script type="module">
import * as codec from './codec.js';
const { IpAddress, MacAddress, PROTOCOL, ETHER_TYPE } = codec;
const said = [];
try {
  if (typeof process !== 'undefined' || typeof Buffer !== 'undefined') throw new Error('this is no browser');
  const source = IpAddress.parse('10.244.1.7'), destination = IpAddress.parse('10.244.2.7');
  const macs = { destination: MacAddress.parse('c6:d2:32:6f:8f:44'), source: MacAddress.parse('12:11:22:33:44:55') };
  const payload = new Uint8Array(8 + 14 + 20 + 8 + 5);
  payload.set(new TextEncoder().encode('hello'), 50);
  const between = { source, destination };
  codec.encodeUdp({ sourcePort: 9, destinationPort: 7, payloadBytes: 5, between }, payload, 42);
  codec.encodeIpv4({ source, destination, protocol: PROTOCOL.udp, payloadBytes: 13 }, payload, 22);
  codec.encodeEthernet({ ...macs, etherType: ETHER_TYPE.ipv4 }, payload, 8);
  codec.encodeVxlan({ vni: 7 }, payload);
  const vxlan = codec.decodeVxlan(payload);
  const ip = codec.decodeIp(codec.decodeEthernet(vxlan.frame).payload);
  const udp = codec.decodeUdp(ip.payload);
  said.push(vxlan.vni, ip.source, ip.destination, ip.isChecksumRight, udp.destinationPort);
  said.push(codec.transportChecksum(ip, ip.protocol, ip.payload), new TextDecoder().decode(udp.payload));
  try { codec.encodeVxlan({ vni: -1 }, payload); } catch (error) { said.push(error.name, error.code); }
  said.push(codec.decodeIp(new Uint8Array(3)).drop);
  said.push([...payload].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
} catch (error) { said.push(error.stack); }
document.body.textContent = said.join(' ');
</script><body></body>`;

const skip = existsSync('/usr/bin/chromium') ? false : 'needs chromium';
test('a browser runs it as it is, from any server of files', { skip, timeout: 120_000 }, async (t) => {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    if (path === '/') return void response.setHeader('content-type', 'text/html').end(page);
    if (!/^\/[\w/-]+\.js$/.test(path) || !existsSync(join(compiled, path)))
      return void response.writeHead(404).end();
    response.setHeader('content-type', 'text/javascript').end(readFileSync(join(compiled, path)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const html = await documentOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const [, text] = /<body>([^<]*)<\/body>/.exec(html) ?? [];
  assert.equal(
    text?.trim(),
    '7 10.244.1.7 10.244.2.7 true 7 0 hello RangeError ERR_TWILL_ARGUMENT version ' +
      '0800000000000700c6d2326f8f441211223344550800' +
      '4500002100000000401161d70af401070af40207' +
      '00090007000da2fc68656c6c6f',
  );
});
