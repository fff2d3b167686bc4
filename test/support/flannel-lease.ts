/**
 * Lease records as flannel's Go code reads and writes them, written anew for the tests: nothing here is shared with the
 * codec under test.
 */

export interface FlannelLease {
  readonly key: string;
  /** `10.77.3.0/24` and `fd00:77:0:3::/64`. */
  readonly v4: string | null;
  readonly v6: string | null;
  readonly publicIp: string;
  readonly publicIpv6: string | null;
  readonly backendType: string;
  readonly mac: string | null;
  readonly macV6: string | null;
}

export function readLease(key: string, value: string): FlannelLease | null {
  const match = /^(\d+\.\d+\.\d+\.\d+)-(\d+)(?:&([0-9a-f:]+)-(\d+))?$/.exec(key);
  if (!match) return null;
  const [, v4, v4Length, v6, v6Length] = match;
  try {
    const record = JSON.parse(value);
    return {
      key,
      v4: v4 === '0.0.0.0' ? null : `${v4}/${v4Length}`,
      v6: v6 === undefined ? null : `${v6}/${v6Length}`,
      publicIp: record.PublicIP ?? '0.0.0.0',
      publicIpv6: record.PublicIPv6 ?? null,
      backendType: record.BackendType ?? '',
      mac: record.BackendData?.VtepMAC ?? null,
      macV6: record.BackendV6Data?.VtepMAC ?? null,
    };
  } catch {
    return null;
  }
}

export function leaseKeyOf(v4: string | null, v6: string | null): string {
  const part = (subnet: string) => subnet.replace('/', '-');
  return `${v4 ? part(v4) : '0.0.0.0-0'}${v6 ? `&${part(v6)}` : ''}`;
}

/** With the fields in flannel's order, those without a value left out. */
export function leaseValueOf(
  lease: Pick<FlannelLease, 'publicIp' | 'publicIpv6' | 'backendType' | 'mac' | 'macV6'>,
  vni: number,
): string {
  const { publicIp, publicIpv6, backendType, mac, macV6 } = lease;
  return JSON.stringify({
    PublicIP: publicIp,
    PublicIPv6: publicIpv6,
    ...(backendType !== '' && { BackendType: backendType }),
    ...(mac !== null && { BackendData: { VNI: vni, VtepMAC: mac } }),
    ...(macV6 !== null && { BackendV6Data: { VNI: vni, VtepMAC: macV6 } }),
  });
}
