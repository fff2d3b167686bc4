/**
 * Whole IP packets out and ICMP messages in, by the optional package `raw-socket`. The one place that knows it, and what it
 * needs: a socket that nobody references is closed by the garbage collector; all messages share one buffer, which the next
 * overwrites; larger messages than that buffer are cut.
 */
import { TwillError } from '../errors.js';
import { loadOptional, type OptionalPackage } from '../native/optional-package.js';
import type { IpAddress, IpFamily } from '../net/ip.js';

/** Of <netinet/in.h>: with it the kernel takes the IP header from us, in both families. */
const IPPROTO_RAW = 255;
const ICMP = { 4: 1, 6: 58 } as const;
const FAMILY = { 4: 1, 6: 2 } as const;
/** IP_MTU_DISCOVER and IPV6_MTU_DISCOVER with PROBE: neither fragments nor a remembered path MTU come between. */
const PROBING = { 4: { level: 0, option: 10 }, 6: { level: 41, option: 23 } } as const;
const MTU_DISCOVER_PROBE = 3;
const LONGEST_MESSAGE_BYTES = 65_535;

const RAW_SOCKET: OptionalPackage = {
  ...{ name: 'raw-socket', neededBy: 'twill probe', code: 'ERR_TWILL_PROBE' },
  install:
    'install it with "apt-get install g++ make python3" and "npm install --no-save raw-socket@1.8.1" in the package of twill, ' +
    'under Node 20 or 22 (it does not build under 24)',
};

interface RawSocket {
  close(): unknown;
  send(
    bytes: Buffer,
    offset: number,
    length: number,
    address: string,
    done: (error: Error | null) => void,
  ): unknown;
}

export class RawSockets {
  readonly #sender: RawSocket;
  readonly #receiver: RawSocket;
  #isClosed = false;

  private constructor(sender: RawSocket, receiver: RawSocket) {
    this.#sender = sender;
    this.#receiver = receiver;
  }

  /**
   * `listener` gets each ICMP message from its ICMP header on, and where it came from. Throws ERR_TWILL_PROBE, and
   * ERR_TWILL_PRIVILEGE without CAP_NET_RAW.
   */
  static async open(
    family: IpFamily,
    listener: (message: Uint8Array, source: string) => void,
  ): Promise<RawSockets> {
    const raw = await loadOptional(() => import('raw-socket'), RAW_SOCKET);
    try {
      const addressFamily = FAMILY[family];
      const sender = raw.createSocket({ protocol: IPPROTO_RAW, addressFamily });
      const receiver = raw.createSocket({
        protocol: ICMP[family],
        addressFamily,
        bufferSize: LONGEST_MESSAGE_BYTES,
      });
      const { level, option } = PROBING[family];
      sender.setOption(level, option, MTU_DISCOVER_PROBE);
      // What goes wrong with one packet is told where it was sent.
      for (const socket of [sender, receiver]) socket.on('error', () => {});
      receiver.on('message', (message, source) => {
        const icmp = family === 4 ? message.subarray(((message[0] ?? 0) & 15) * 4) : message;
        listener(Uint8Array.from(icmp), source);
      });
      return new RawSockets(sender, receiver);
    } catch (cause) {
      const { message } = cause as Error;
      if (/not permitted|permission/i.test(message))
        throw new TwillError('ERR_TWILL_PRIVILEGE', 'raw sockets need CAP_NET_RAW: run as root', { cause });
      throw new TwillError('ERR_TWILL_PROBE', `cannot open a raw socket: ${message}`, { cause });
    }
  }

  /** Sends a whole IP packet; why it did not go, or null. */
  send(packet: Uint8Array, destination: IpAddress): Promise<string | null> {
    const bytes = Buffer.from(packet);
    return new Promise((resolve) => {
      this.#sender.send(bytes, 0, bytes.length, destination.toString(), (error) => {
        resolve(error ? error.message : null);
      });
    });
  }

  /** A second call does nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sender.close();
    this.#receiver.close();
  }
}
