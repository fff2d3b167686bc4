/** The examples of docs/library.md's section on the codec, as they stand. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { readDocument, root } from '../../support/documents.js';

const [, section = ''] = /^## The codec$([\s\S]*?)(?=^## )/m.exec(readDocument('docs/library.md')) ?? [];
const blocks = [...section.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code = '']) => code);

async function said(code: string, last: string): Promise<string> {
  const argv = ['--input-type=module', '-e', `${code}\n${last}`];
  return (await promisify(execFile)(process.execPath, argv, { cwd: root })).stdout.trim();
}

test('the flow inside a VXLAN datagram', async () => {
  assert.equal(blocks.length, 2);
  const payload = '0800000000002a00c6d2326f8f44121122334455080045000014000000004011000000000000ffffffff';
  const call = (hex: string) => `flow(Buffer.from('${hex}', 'hex'))`;
  const last = `console.log(${call(payload)}, ${call(payload.slice(0, 30))}, ${call('00')});`;
  assert.equal(await said(blocks[0] ?? '', last), '42: 0.0.0.0 > 255.255.255.255 null null');
});

test('a packet with its checksums', async () => {
  const last = `import { decodeIp, transportChecksum } from 'twill/codec';
    const ip = decodeIp(packet);
    console.log(ip.isChecksumRight, transportChecksum(ip, ip.protocol, ip.payload), String(ip.destination));`;
  assert.equal(await said(blocks[1] ?? '', last), 'true 0 10.244.2.7');
});
