/** The library's dataplane: an overlay node inside any program. */
import { EventEmitter } from 'node:events';
import { TwillError } from '../errors.js';
import type { IpAddress } from '../net/ip.js';
import type { MacAddress } from '../net/mac.js';
import { addressAt, requireMade } from './arguments.js';
import { type BufferPool, makePool } from './buffer-pool.js';
import { type CheckedOptions, checkOptions, type DataplaneOptions } from './dataplane-options.js';
import { configureDevice, refuseNestedUnderlay, refuseRivalRoute } from './device.js';
import { Engine, udpUnderlay } from './engine.js';
import { watchFaults } from './faults.js';
import { makePeers, type Peers } from './peers.js';
import type { PlaneStats, PlaneTrace } from './plane.js';
import { Slots } from './slots.js';
import { EngineTap, type PlaneTap, type TapOptions } from './tap.js';
import { checkTapOptions } from './tap-options.js';
import { makePort, type UserPort } from './user-port.js';

/** What a dataplane tells of itself. Listeners are called with these arguments. */
export interface DataplaneEvents {
  /** It is closed: by `close`, or because the process or the worker thread ends in order. */
  close: [];
  /**
   * The host took away what it stands on: ERR_TWILL_DEVICE where its TUN was deleted or set down, ERR_TWILL_SOCKET where an
   * address of the underlay is gone. It goes on as well as it can.
   */
  fault: [fault: TwillError];
}

/** Options of a dataplane whose inner packets are the program's. */
export interface UserOverlay {
  /** A user port. */
  readonly overlay: { readonly kind: 'user' };
}
/** Options of a dataplane whose datagrams are the program's. */
export interface UserUnderlay {
  /** A user port. */
  readonly underlay: { readonly kind: 'user' };
}
/** What it has then, for certain. */
export interface OverlayPort {
  /** Inner packets in and out of the program. */
  readonly overlay: UserPort;
}
/** What it has then, for certain. */
export interface UnderlayPort {
  /** Payloads of datagrams in and out of the program. */
  readonly underlay: UserPort;
}

/**
 * An overlay node: packets from one side are put into datagrams of the other, to the peer whose subnet holds their
 * destination, and back. Native threads carry them, beside the event loop.
 *
 * It lives, whoever holds it, until `close`, or until its process or worker thread ends; it does not keep the process alive
 * by itself: listening to a user port does. A process may have several, also in worker threads; each is of one thread.
 *
 * @example
 * await using plane = await Dataplane.open({
 *   encap: 'vxlan',
 *   subnets: ['10.244.1.0/24'],
 *   overlay: { kind: 'user' },
 *   underlay: { kind: 'udp', addresses: ['192.0.2.1'] },
 * });
 * plane.peers.set({ subnet: '10.244.2.0/24', endpoint: { address: '192.0.2.2' }, mac: '02:00:00:00:00:02' });
 */
export class Dataplane extends EventEmitter<DataplaneEvents> implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #endPorts: (() => void)[] = [];
  readonly #slots: Slots;
  readonly #faults: { stop(): boolean };
  #closed: Promise<void> | null = null;
  /** The TUN's name; null with a user port. */
  readonly deviceName: string | null;
  /** Of our VTEP. */
  readonly mac: MacAddress;
  /** Largest inner packet, bytes. */
  readonly mtuBytes: number;
  /** The other nodes. */
  readonly peers: Peers;
  /** The buffers that packets of this dataplane lie in. */
  readonly pool: BufferPool;
  /** Inner packets in and out of the program; null with a TUN. */
  readonly overlay: UserPort | null;
  /** Payloads of datagrams in and out of the program; null with sockets. */
  readonly underlay: UserPort | null;

  private constructor(engine: Engine, options: CheckedOptions) {
    super();
    requireMade('Dataplane', 'Dataplane.open', engine instanceof Engine, engine);
    const { native, events } = engine;
    const { encap, mac, mtuBytes, port, tun, locals } = options;
    this.#engine = engine;
    this.mac = mac;
    this.mtuBytes = mtuBytes;
    this.deviceName = tun && native.deviceName;
    this.#slots = new Slots(native, events, options.trackBuffers);
    this.peers = makePeers(engine, { port, needsMac: encap === 'vxlan' });
    this.pool = makePool(this.#slots, () => engine.isClosed);
    this.overlay = tun ? null : this.#makePort('overlay');
    this.underlay = locals ? null : this.#makePort('underlay');
    const device = tun && { index: native.deviceIndex, name: native.deviceName };
    this.#faults = watchFaults({ device, locals: locals ?? [] }, (fault) => this.#tell('fault', fault));
    openPlanes.add(this);
  }

  /**
   * Opens sockets and device and starts the workers: all that needs a privilege happens here. Rejects with ArgumentError;
   * with ERR_TWILL_SOCKET, _DEVICE, _NETLINK, _PRIVILEGE, _CONFIG (the tunnel would carry itself) or _POOL where the system
   * refuses; with ERR_TWILL_NATIVE where the addon does not load. Nothing is left behind then.
   */
  static open(
    options: DataplaneOptions & UserOverlay & UserUnderlay,
  ): Promise<Dataplane & OverlayPort & UnderlayPort>;
  static open(options: DataplaneOptions & UserOverlay): Promise<Dataplane & OverlayPort>;
  static open(options: DataplaneOptions & UserUnderlay): Promise<Dataplane & UnderlayPort>;
  static open(options: DataplaneOptions): Promise<Dataplane>;
  static async open(options: DataplaneOptions): Promise<Dataplane> {
    const checked = checkOptions(options);
    const engine = openEngine(checked);
    try {
      return new Dataplane(engine, checked);
    } catch (error) {
      engine.close();
      throw error;
    }
  }

  static {
    process.once('exit', () => {
      for (const plane of openPlanes) plane.#shut();
    });
  }

  /** Whether `close` was called, or has begun to be. */
  get isClosed(): boolean {
    return this.#engine.isClosed;
  }

  /** `received = delivered + sum of drops` holds for each direction in every value returned. Answers also when closed. */
  stats(): PlaneStats {
    return this.#engine.stats();
  }

  /** What would happen to a packet of ours to this address. Answers also when closed. Throws ArgumentError. */
  trace(destination: IpAddress | string): PlaneTrace {
    return this.#engine.trace(addressAt('Dataplane.trace: destination', destination));
  }

  /**
   * Copies what passes from now on, until it is closed. One at a time. Throws ArgumentError, ERR_TWILL_BUSY where one is
   * open, ERR_TWILL_CLOSED after `close`.
   */
  openTap(options: TapOptions = {}): PlaneTap {
    const checked = checkTapOptions('Dataplane.openTap: options', options);
    this.#requireOpen();
    return new EngineTap(this.#engine, checked);
  }

  /**
   * With `workers: 0`: carries what is there, at most 128 packets in each direction; how many came in. With workers it does
   * nothing and returns 0. Throws ERR_TWILL_CLOSED after `close`.
   */
  step(): number {
    this.#requireOpen();
    return this.#engine.native.step();
  }

  /**
   * Ends the workers after the batch in hand, closes sockets and device, ends loops over ports, and rejects what waits.
   * Packets in queues are gone; those that the program holds stay readable and may be released. A second call does
   * nothing. Never rejects.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    // The descriptor of a watch goes with the next turn of the event loop.
    if (this.#shut()) await new Promise((resolve) => setImmediate(resolve));
  }

  #shut(): boolean {
    if (this.#engine.isClosed) return false;
    openPlanes.delete(this);
    const hadWatch = this.#faults.stop();
    this.#engine.close();
    for (const end of this.#endPorts) end();
    this.#slots.waiters.end();
    this.#tell('close');
    return hadWatch;
  }

  /** A listener that throws is an uncaught exception, and nobody else's. */
  #tell<K extends keyof DataplaneEvents>(event: K, ...values: DataplaneEvents[K]): void {
    try {
      (this as EventEmitter).emit(event, ...values);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }

  #makePort(side: 'overlay' | 'underlay'): UserPort {
    const engine = this.#engine;
    const { port, end } = makePort({
      ...{ side, slots: this.#slots, events: engine.events },
      peerOf: (number) => engine.subnetOf(number),
    });
    this.#endPorts.push(end);
    return port;
  }

  #requireOpen(): void {
    if (this.#engine.isClosed) throw new TwillError('ERR_TWILL_CLOSED', 'this dataplane is closed');
  }
}

/** Of this thread. Closed when it ends. */
const openPlanes = new Set<Dataplane>();

/** An engine with its device in place; nothing is left behind where that fails. */
function openEngine(options: CheckedOptions): Engine {
  const { encap, port, vni, mac, macV6, workers, workerCpus, offload, poolSlots } = options;
  const { tun, locals, subnets, networks, mtuBytes } = options;
  if (tun) {
    refuseNestedUnderlay(locals ?? [], networks);
    for (const network of networks) refuseRivalRoute(network, [tun.name]);
  }
  const engine = Engine.open({
    ...{ encap, port, vni, mac, workers, ownSubnets: subnets, innerMtuBytes: mtuBytes },
    ...(macV6 && { macV6 }),
    ownAddresses: options.ownAddresses,
    sourceCheck: options.sourceCheck,
    overlay: tun ? { kind: 'tun', ...tun } : { kind: 'user' },
    underlays: locals?.map((address) => udpUnderlay(encap, address, port)) ?? [{ kind: 'user' }],
    ...(offload && { offload }),
    ...(workerCpus && { workerCpus }),
    ...(poolSlots !== undefined && { poolSlots }),
  });
  if (!tun) return engine;
  try {
    const { deviceIndex, deviceName } = engine.native;
    const acceptLocal = options.sourceCheck;
    configureDevice(deviceIndex, deviceName, { mtuBytes, subnets, networks, acceptLocal });
    return engine;
  } catch (error) {
    engine.close();
    throw error;
  }
}
