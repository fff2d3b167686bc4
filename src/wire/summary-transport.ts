/** TCP (RFC 9293) and UDP (RFC 768) headers in a few words. */

export interface TransportSummary {
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly detail: string;
}

/** In the order in which tcpdump writes them. */
const TCP_FLAGS: readonly (readonly [bit: number, letter: string])[] = [
  [0x01, 'F'],
  [0x02, 'S'],
  [0x04, 'R'],
  [0x08, 'P'],
  [0x20, 'U'],
  [0x40, 'E'],
  [0x80, 'W'],
  [0x10, '.'],
];

/** `length`: of header and payload by the IP header; `bytes` may be cut. */
export function transportSummary(
  protocol: 'tcp' | 'udp',
  bytes: Uint8Array,
  length: number,
): TransportSummary {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) return { detail: 'header cut' };
  const ports = { sourcePort: view.getUint16(0), destinationPort: view.getUint16(2) };
  if (protocol === 'udp') return { ...ports, detail: udpText(view, length) };
  return { ...ports, detail: tcpText(view, length) };
}

function udpText(view: DataView, length: number): string {
  if (view.byteLength < 8) return 'header cut';
  const declared = view.getUint16(4);
  // A super-packet may declare nothing.
  if (declared !== 0 && (declared < 8 || declared > length)) return `bad length ${declared}`;
  return `len ${(declared || length) - 8}`;
}

function tcpText(view: DataView, length: number): string {
  if (view.byteLength < 20) return 'header cut';
  const headerBytes = (view.getUint8(12) >> 4) * 4;
  const flags = view.getUint8(13);
  const letters =
    TCP_FLAGS.flatMap(([bit, letter]) => ((flags & bit) !== 0 ? [letter] : [])).join('') || 'none';
  const words = [letters, `seq ${view.getUint32(4)}`];
  if ((flags & 0x10) !== 0) words.push(`ack ${view.getUint32(8)}`);
  words.push(`win ${view.getUint16(14)}`);
  if (headerBytes < 20 || headerBytes > length) return [...words, 'bad header length'].join(' ');
  const mss = (flags & 0x02) === 0 ? null : mssOf(view, headerBytes);
  if (mss !== null) words.push(`mss ${mss}`);
  return [...words, `len ${length - headerBytes}`].join(' ');
}

/** Of a SYN; null where there is none. */
function mssOf(view: DataView, headerBytes: number): number | null {
  const end = Math.min(headerBytes, view.byteLength);
  for (let at = 20; at + 1 < end; ) {
    const kind = view.getUint8(at);
    if (kind === 0) return null;
    if (kind === 1) {
      at += 1;
      continue;
    }
    const length = view.getUint8(at + 1);
    if (kind === 2 && length === 4 && at + 4 <= end) return view.getUint16(at + 2);
    if (length < 2) return null;
    at += length;
  }
  return null;
}
