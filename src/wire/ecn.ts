/** Congestion marks across a tunnel: RFC 6040 with the choices of Linux (include/net/inet_ecn.h). */

const NOT_ECT = 0;
const ECT_1 = 1;
const ECT_0 = 2;
const CE = 3;

/** Outer bits of a packet that leaves. Linux resets CE to ECT(0), where RFC 6040's normal mode would keep it. */
export function outerEcn(inner: number): number {
  return inner === CE ? ECT_0 : inner;
}

/** Inner bits of a packet that arrived under these outer ones; null: it is to be dropped. */
export function combinedEcn(outer: number, inner: number): number | null {
  if (inner === NOT_ECT) return outer === CE ? null : inner;
  if (outer === CE) return CE;
  return outer === ECT_1 && inner === ECT_0 ? ECT_1 : inner;
}
