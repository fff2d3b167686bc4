/**
 * Our VTEP MACs, one for each family as flannel has them. They are kept in our own lease, so that they survive restarts and
 * reboots and peers need not learn new ones. Where no lease says, a device that flannel left does. Pure.
 */
import { vtepMacText, vtepMacTexts } from '../lease/claims.js';
import type { Json } from '../net/json.js';
import { MacAddress } from '../net/mac.js';
import type { StoreSnapshot } from '../store/store.js';
import { decoded, isOfNode, type NodeIdentity, ownRecords } from './lease-claims.js';

export interface VtepMacs {
  /** Of frames with IPv4 inside. */
  readonly mac: MacAddress;
  /** Of those with IPv6 inside, where it is another. */
  readonly macV6?: MacAddress;
}

/** For each family the first usable one, that is one which no other node advertises (a clone would); else that of the other family; else a new one. */
export function chooseVtepMacs(
  snapshot: StoreSnapshot,
  identity: NodeIdentity,
  devices: { readonly v4: MacAddress | null; readonly v6: MacAddress | null },
  random: () => number,
): VtepMacs {
  const others = new Set(
    snapshot.records.flatMap((record) => {
      const lease = decoded(record);
      return lease && !isOfNode(lease, identity) ? vtepMacTexts(lease) : [];
    }),
  );
  const own = ownRecords(snapshot, identity).map(({ lease }) => lease.attributes);
  const usable = (data: readonly (Json | undefined)[], device: MacAddress | null): MacAddress | undefined =>
    [...data.map(parsed), device].find(
      (mac) => mac && !mac.isZero && !mac.isMulticast && !others.has(mac.toString()),
    ) ?? undefined;
  const v4 = usable(
    own.map(({ backendData }) => backendData),
    devices.v4,
  );
  const v6 = usable(
    own.map(({ backendV6Data }) => backendV6Data),
    devices.v6,
  );
  const mac = v4 ?? v6 ?? MacAddress.local(Uint8Array.from({ length: 6 }, () => Math.floor(random() * 256)));
  return { mac, ...(v6 && !v6.equals(mac) && { macV6: v6 }) };
}

function parsed(data: Json | undefined): MacAddress | null {
  const text = vtepMacText(data);
  return text === null ? null : MacAddress.tryParse(text);
}
