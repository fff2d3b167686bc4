/**
 * The baseline: VXLAN by hand over a UDP socket of Node. It does what Twill does for each packet, no more: a peer for the
 * destination, a header in front, and on the way in the checks of that header and of both inner addresses. It is as fast as
 * we know to make it: a connected socket, headers written beforehand, buffers used again, nothing parsed twice.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { ETHER_TYPE, encodeEthernet, encodeVxlan } from '../../src/codec.js';
import { MacAddress } from '../../src/net/mac.js';
import type { Carrier, CarrierPlan } from './carrier.js';
import { macOf, NODE, numberOf, other, packetTo, type Side, setNumber, turn, underlayOf } from './packet.js';

const HEADER_BYTES = 8 + 14;
/** Those that a send which had to wait still refers to, and some more. */
const BUFFERS = 512;
const SOCKET_BUFFER_BYTES = 8 << 20;

export class DgramCarrier implements Carrier {
  readonly window = 128;
  readonly #socket: Socket;
  readonly #header: Buffer;
  readonly #wanted: Buffer;
  readonly #own: number;
  readonly #peer: number;
  #template: Uint8Array = new Uint8Array();
  #buffers: Buffer[] = [];
  #next = 0;

  private constructor(socket: Socket, side: Side) {
    this.#socket = socket;
    this.#header = headerTo(other(side));
    this.#wanted = headerTo(side);
    this.#own = NODE[side];
    this.#peer = NODE[other(side)];
  }

  static async open({ side, port, otherPort }: CarrierPlan): Promise<DgramCarrier> {
    const socket = createSocket({
      type: 'udp4',
      recvBufferSize: SOCKET_BUFFER_BYTES,
      sendBufferSize: SOCKET_BUFFER_BYTES,
    });
    socket.bind(port, underlayOf(side));
    await once(socket, 'listening');
    socket.connect(otherPort, underlayOf(other(side)));
    await once(socket, 'connect');
    // Until the other end is there.
    socket.on('error', () => {});
    return new DgramCarrier(socket, side);
  }

  prepare(lengthBytes: number): void {
    this.#template = packetTo('far', lengthBytes);
    this.#buffers = Array.from({ length: BUFFERS }, () => Buffer.alloc(HEADER_BYTES + lengthBytes));
  }

  send(count: number, first: number): number {
    for (let i = 0; i < count; i++) {
      const buffer = this.#buffers[this.#next] as Buffer;
      this.#next = (this.#next + 1) % BUFFERS;
      buffer.set(this.#template, HEADER_BYTES);
      setNumber(buffer, HEADER_BYTES, first + i);
      if (this.#encapsulate(buffer)) this.#socket.send(buffer);
    }
    return count;
  }

  onReturn(listener: (count: number, sum: number) => void): void {
    this.#socket.on('message', (datagram) => {
      if (this.#isFromPeer(datagram)) listener(1, numberOf(datagram, HEADER_BYTES));
    });
  }

  echo(): void {
    this.#socket.on('message', (datagram) => {
      if (!this.#isFromPeer(datagram)) return;
      turn(datagram, HEADER_BYTES);
      if (this.#encapsulate(datagram)) this.#socket.send(datagram);
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(resolve));
  }

  /** Of one peer the table is one comparison. */
  #encapsulate(buffer: Buffer): boolean {
    if (!isIn(buffer, HEADER_BYTES + 16, this.#peer)) return false;
    buffer.set(this.#header);
    return true;
  }

  #isFromPeer(datagram: Buffer): boolean {
    if (datagram.length < HEADER_BYTES + 20) return false;
    // Flags and VNI, our MAC, and the EtherType; the other's MAC may be any.
    const isOurs =
      this.#wanted.compare(datagram, 0, 14, 0, 14) === 0 && datagram.readUInt16BE(20) === ETHER_TYPE.ipv4;
    const isWhole =
      datagram[HEADER_BYTES] === 0x45 && datagram.readUInt16BE(HEADER_BYTES + 2) <= datagram.length;
    return (
      isOurs &&
      isWhole &&
      isIn(datagram, HEADER_BYTES + 12, this.#peer) &&
      isIn(datagram, HEADER_BYTES + 16, this.#own)
    );
  }
}

/** Whether the address there is in 10.244.NODE.0/24. */
function isIn(bytes: Buffer, at: number, node: number): boolean {
  return bytes[at] === 10 && bytes[at + 1] === 244 && bytes[at + 2] === node;
}

function headerTo(side: Side): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const [destination, source] = [side, other(side)].map((end) => MacAddress.parse(macOf(end))) as [
    MacAddress,
    MacAddress,
  ];
  encodeVxlan({ vni: 1 }, header);
  encodeEthernet({ destination, source, etherType: ETHER_TYPE.ipv4 }, header, 8);
  return header;
}
