/** Reads classic pcap files (https://www.tcpdump.org/manpages/pcap-savefile.5.html), Ethernet or cooked Linux frames. */

export interface CapturedDatagram {
  readonly family: 4 | 6;
  readonly source: Uint8Array;
  readonly tos: number;
  readonly destinationPort: number;
  /** UDP payload, as far as it was captured; its true length by the UDP header. */
  readonly payload: Uint8Array;
  readonly declaredBytes: number;
}

/** Captured link-layer frames; the number of header bytes in front of IP is found by EtherType. */
export function readPcap(file: Uint8Array): Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const magic = view.getUint32(0, true);
  const isLittle = magic === 0xa1b2c3d4 || magic === 0xa1b23c4d;
  if (!isLittle && ![0xa1b2c3d4, 0xa1b23c4d].includes(view.getUint32(0))) throw new Error('not a pcap file');
  const frames: Uint8Array[] = [];
  for (let at = 24; at + 16 <= file.length; ) {
    const bytes = view.getUint32(at + 8, isLittle);
    frames.push(file.subarray(at + 16, at + 16 + bytes));
    at += 16 + bytes;
  }
  return frames;
}

/** The UDP datagram of a frame; null where there is none. */
export function datagramOf(frame: Uint8Array): CapturedDatagram | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  let at = 12;
  if (frame.length < 14) return null;
  let type = view.getUint16(at);
  while (type === 0x8100 && frame.length >= at + 6) {
    at += 4;
    type = view.getUint16(at);
  }
  const ip = at + 2;
  if (type === 0x0800 && frame.length >= ip + 28 && view.getUint8(ip + 9) === 17) {
    const udp = ip + (view.getUint8(ip) & 15) * 4;
    return udpAt(frame, view, udp, 4, frame.subarray(ip + 12, ip + 16), view.getUint8(ip + 1));
  }
  if (type === 0x86dd && frame.length >= ip + 48 && view.getUint8(ip + 6) === 17) {
    const tos = (view.getUint16(ip) >> 4) & 0xff;
    return udpAt(frame, view, ip + 40, 6, frame.subarray(ip + 8, ip + 24), tos);
  }
  return null;
}

function udpAt(
  frame: Uint8Array,
  view: DataView,
  udp: number,
  family: 4 | 6,
  source: Uint8Array,
  tos: number,
): CapturedDatagram {
  const declared = view.getUint16(udp + 4);
  // A super-packet that segmentation offload was to cut may declare nothing.
  const end = declared >= 8 ? Math.min(udp + declared, frame.length) : frame.length;
  return {
    family,
    source,
    tos,
    destinationPort: view.getUint16(udp + 2),
    payload: frame.subarray(udp + 8, end),
    declaredBytes: declared - 8,
  };
}
