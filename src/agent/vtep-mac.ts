/** Our VTEP MAC. It is kept in our own lease, so that it survives restarts and peers need not learn a new one. Pure. */
import { vtepMacTexts } from '../lease/claims.js';
import type { Lease } from '../lease/lease.js';
import { MacAddress } from '../net/mac.js';
import type { StoreSnapshot } from '../store/store.js';
import { decoded, type NodeIdentity, ownRecords, sameNode } from './lease-claims.js';

/** The MAC of our lease where it has a usable one that no other node advertises (a clone would), else a new one. */
export function chooseVtepMac(
  snapshot: StoreSnapshot,
  identity: NodeIdentity,
  random: () => number,
): MacAddress {
  const others = snapshot.records.flatMap((record) => {
    const lease = decoded(record);
    return lease && !sameNode(lease.attributes, identity) ? vtepMacs(lease) : [];
  });
  const kept = ownRecords(snapshot, identity).flatMap(({ lease }) => vtepMacs(lease));
  const usable = kept.find(
    (mac) => !mac.isZero && !mac.isMulticast && !others.some((other) => other.equals(mac)),
  );
  return usable ?? MacAddress.local(Uint8Array.from({ length: 6 }, () => Math.floor(random() * 256)));
}

function vtepMacs(lease: Lease): MacAddress[] {
  return vtepMacTexts(lease).flatMap((text) => MacAddress.tryParse(text) ?? []);
}
