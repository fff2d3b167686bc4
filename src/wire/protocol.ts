/** Numbers that IP headers name what they carry by (IANA protocol numbers), and Ethernet headers (IEEE EtherTypes). */
export const PROTOCOL = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  auth: 51,
  icmpv6: 58,
  destinationOptions: 60,
} as const;

/** What an Ethernet frame carries (IEEE EtherTypes). */
export const ETHER_TYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
