/** The peer table of a dataplane as its program sees it. */
import type { Peer } from '../backend/backend.js';
import { TwillError, wrongType } from '../errors.js';
import type { IpAddress } from '../net/ip.js';
import type { MacAddress } from '../net/mac.js';
import { Prefix } from '../net/prefix.js';
import { addressAt, eachAt, integerAt, objectAt, prefixAt, requireMade } from './arguments.js';
import { vtepMacAt } from './dataplane-options.js';
import { Engine } from './engine.js';
import type { PeerStats } from './peer-stats.js';

/** A peer as a program gives it: text or values. */
export interface PeerInit {
  /** Of the overlay, the part that lies behind this peer; the identity of its row. Host bits are cut off. */
  readonly subnet: Prefix | string;
  /** Where its datagrams go to, and come from. `port`: that of the cluster (the dataplane's) unless it is another. */
  readonly endpoint: { readonly address: IpAddress | string; readonly port?: number };
  /** Of its VTEP: needed for VXLAN, unused for udp. */
  readonly mac?: MacAddress | string;
}

/** For the dataplane alone. */
export let makePeers: (engine: Engine, defaults: PeerDefaults) => Peers;

export interface PeerDefaults {
  readonly port: number;
  readonly needsMac: boolean;
}

/**
 * Rows by subnet; the longest prefix that holds a packet's destination is its peer. Each call that changes rows is one
 * atomic step: a packet sees the table before it or after it, never half, and where one row is wrong nothing changes. A step
 * costs what changes, not what is there: a table of 100,000 rows takes one more in microseconds.
 *
 * @example
 * plane.peers.set({ subnet: '10.244.2.0/24', endpoint: { address: '192.0.2.2' }, mac: '02:00:00:00:00:02' });
 */
export class Peers {
  readonly #engine: Engine;
  readonly #defaults: PeerDefaults;

  private constructor(engine: Engine, defaults: PeerDefaults) {
    requireMade('Peers', 'Dataplane.open', engine instanceof Engine, engine);
    this.#engine = engine;
    this.#defaults = defaults;
  }

  static {
    makePeers = (engine, defaults) => new Peers(engine, defaults);
  }

  /** Rows. */
  get size(): number {
    return this.#engine.peers.size;
  }

  /** Number of the table's state, from 0: each step that changes something raises it by one. */
  get generation(): number {
    return this.#engine.generation;
  }

  /** Inserts rows, or replaces those of the same subnet; the generation. Throws ArgumentError, ERR_TWILL_CLOSED after `close`. */
  set(peers: PeerInit | readonly PeerInit[]): number {
    return this.#change(this.#rowsAt('peers.set: peers', peers), []);
  }

  /** Deletes rows; the generation. A subnet that is not there is no error. Throws as `set`. */
  delete(subnets: Prefix | string | readonly (Prefix | string)[]): number {
    return this.#change([], subnetsAt('peers.delete: subnets', subnets));
  }

  /** Both in one step; the generation. A subnet that is in both is set. Throws as `set`. */
  change(change: {
    readonly set?: PeerInit | readonly PeerInit[];
    readonly delete?: Prefix | string | readonly (Prefix | string)[];
  }): number {
    const { set = [], delete: gone = [] } = objectAt('peers.change: change', change);
    const rows = this.#rowsAt('peers.change: set', set);
    return this.#change(rows, subnetsAt('peers.change: delete', gone));
  }

  /** Makes the table equal to these rows in one step; the generation. Rows that stay keep their counts. Throws as `set`. */
  replace(peers: readonly PeerInit[]): number {
    const rows = eachAt('peers.replace: peers', peers, (where, peer) => this.#rowAt(where, peer));
    this.#requireOpen();
    return this.#engine.setPeers(rows);
  }

  /** The row of exactly this subnet. */
  get(subnet: Prefix | string): Peer | undefined {
    return this.#engine.peers.get(prefixAt('peers.get: subnet', subnet).toString());
  }

  /** All rows, in the order in which they came. */
  list(): Peer[] {
    return [...this.#engine.peers.values()];
  }

  /** What each row sent and got since it is there. Answers also when the dataplane is closed. */
  stats(): PeerStats {
    return this.#engine.peerStats();
  }

  #change(set: readonly Peer[], gone: readonly Prefix[]): number {
    this.#requireOpen();
    return this.#engine.changePeers({ set, gone });
  }

  #rowsAt(where: string, given: unknown): readonly Peer[] {
    if (!Array.isArray(given)) return [this.#rowAt(where, given)];
    return eachAt(where, given, (place, peer) => this.#rowAt(place, peer));
  }

  #rowAt(where: string, given: unknown): Peer {
    const { subnet, endpoint, mac } = objectAt(where, given, '{ subnet, endpoint, mac }');
    const { address, port = this.#defaults.port } = objectAt(
      `${where}.endpoint`,
      endpoint,
      '{ address, port }',
    );
    const { needsMac } = this.#defaults;
    if (mac === undefined && needsMac)
      throw wrongType(`${where}.mac`, "the MAC of the peer's VTEP, since this dataplane speaks VXLAN", mac);
    return Object.freeze({
      subnet: prefixAt(`${where}.subnet`, subnet),
      endpoint: Object.freeze({
        address: addressAt(`${where}.endpoint.address`, address),
        port: integerAt(`${where}.endpoint.port`, port, 1, 65_535),
      }),
      ...(mac !== undefined && { mac: vtepMacAt(`${where}.mac`, mac) }),
    });
  }

  #requireOpen(): void {
    if (this.#engine.isClosed)
      throw new TwillError('ERR_TWILL_CLOSED', 'the dataplane of these peers is closed');
  }
}

function subnetsAt(where: string, given: unknown): readonly Prefix[] {
  if (typeof given === 'string' || given instanceof Prefix) return [prefixAt(where, given)];
  return eachAt(where, given, prefixAt);
}
