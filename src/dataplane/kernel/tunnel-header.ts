/** What the kernel's vxlan device puts between the outer UDP header and the inner packet (RFC 7348, section 5). Pure. */
import type { IpFamily } from '../../net/ip.js';
import type { MacAddress } from '../../net/mac.js';

const FLAG_VNI = 0x08;
const ETHER_TYPE = { 4: 0x0800, 6: 0x86dd } as const;

export function tunnelHeader(vni: number, to: MacAddress, from: MacAddress, family: IpFamily): Uint8Array {
  const header = new Uint8Array(22);
  const view = new DataView(header.buffer);
  view.setUint8(0, FLAG_VNI);
  view.setUint32(4, vni * 256);
  header.set(to.bytes(), 8);
  header.set(from.bytes(), 14);
  view.setUint16(20, ETHER_TYPE[family]);
  return header;
}
