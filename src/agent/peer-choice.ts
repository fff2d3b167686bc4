/** Which peer somebody means who names it by its subnet, its endpoint or any address that it holds. Pure. */
import type { TunnelBackend } from '../backend/backend.js';
import type { Plane } from '../dataplane/plane.js';
import { TwillError } from '../errors.js';
import type { LeaseSubnets } from '../lease/lease.js';
import { IpAddress } from '../net/ip.js';
import type { Json } from '../net/json.js';
import { Prefix } from '../net/prefix.js';
import type { PeerLease } from './peers.js';
import type { Underlay } from './underlay.js';

/** null where nobody fits. Throws ERR_TWILL_ADDRESS where the text is neither an address nor a prefix. */
export function choosePeer(text: string, entries: readonly PeerLease[]): PeerLease | null {
  const prefix = Prefix.tryParse(text);
  const address = IpAddress.tryParse(text);
  if (!prefix && !address)
    throw new TwillError(
      'ERR_TWILL_ADDRESS',
      `"${text.slice(0, 80)}" names no peer: write its subnet, its endpoint's address or an address of its subnet`,
    );
  const rows = entries.flatMap((entry) => entry.peers.map((peer) => ({ entry, peer })));
  const byEndpoint = rows.find(({ peer }) => address && peer.endpoint.address.equals(address));
  if (byEndpoint) return byEndpoint.entry;
  const holding = rows
    .filter(({ peer }) => (prefix ? peer.subnet.equals(prefix) : address && peer.subnet.contains(address)))
    .sort((a, b) => b.peer.subnet.length - a.peer.subnet.length)[0];
  return holding?.entry ?? null;
}

/** Our addresses on the underlay. */
export function localTexts({ address, addressV6 }: Underlay): string[] {
  return [address, addressV6].flatMap((local) => (local ? [local.toString()] : []));
}

/** What `twill probe` needs to know of a peer. Throws ERR_TWILL_ADDRESS or _ARGUMENT. */
export function peerJson(
  text: string,
  node: {
    readonly backend: Pick<TunnelBackend, 'encap' | 'port'>;
    readonly plane: Pick<Plane, 'deviceName' | 'mtuBytes' | 'trace'>;
    readonly ownSubnets: LeaseSubnets;
    readonly underlay: Underlay;
    readonly entries: readonly PeerLease[];
  },
): Json {
  const { backend, plane, underlay, entries, ownSubnets } = node;
  const found = choosePeer(text, entries);
  if (!found)
    throw new TwillError('ERR_TWILL_ARGUMENT', `no peer is meant by ${text.slice(0, 80)}: see "twill peers"`);
  return {
    key: found.lease.key,
    encap: backend.encap,
    device: plane.deviceName,
    innerMtuBytes: plane.mtuBytes,
    interface: underlay.interface,
    interfaceMtuBytes: underlay.mtuBytes,
    addresses: localTexts(underlay),
    rows: found.peers.map(({ subnet, endpoint }) => {
      const own = subnet.family === 4 ? ownSubnets.v4 : ownSubnets.v6;
      const traced = plane.trace(subnet.address);
      if (traced.drop === null && traced.way === 'direct')
        throw new TwillError(
          'ERR_TWILL_CONTROL',
          `${subnet} is reached without a tunnel, which leaves none to probe: use ping`,
        );
      return {
        subnet: subnet.toString(),
        ownAddress: own?.address.toString() ?? null,
        endpoint: { address: endpoint.address.toString(), port: endpoint.port },
        // In front of each inner packet, as hexadecimal digits.
        header: traced.drop === null ? Buffer.from(traced.header).toString('hex') : '',
      };
    }),
  };
}
