"""Raw traffic for tests, inside a namespace. Prints `ready`, then works until standard input ends.

    send SOURCE DESTINATION PORT   each line of standard input, {"hex": ..., "tos": ...}, becomes one datagram; with
                                   "tell" a line says when it is sent
    listen PORT ADDRESS...         each datagram becomes a line: to which address, its TOS or traffic class, its bytes
    outside DEVICE PORT            each VXLAN datagram over IPv4 or IPv6 that comes in on DEVICE becomes a line: TOS outside
                                   and inside
"""

import json
import select
import socket
import sys


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tos_option(family):
    if family == socket.AF_INET6:
        return socket.IPPROTO_IPV6, socket.IPV6_TCLASS
    return socket.IPPROTO_IP, socket.IP_TOS


def say(value):
    print(value if isinstance(value, str) else json.dumps(value), flush=True)


def send(source, destination, port):
    out = socket.socket(family_of(source), socket.SOCK_DGRAM)
    out.bind((source, 0))
    level, option = tos_option(out.family)
    say("ready")
    for line in sys.stdin:
        datagram = json.loads(line)
        out.setsockopt(level, option, datagram.get("tos", 0))
        out.sendto(bytes.fromhex(datagram["hex"]), (destination, int(port)))
        if datagram.get("tell"):
            say("sent")


def watch(sockets, take):
    say("ready")
    while True:
        for readable in select.select([sys.stdin, *sockets], [], [])[0]:
            if readable is sys.stdin:
                if not sys.stdin.readline():
                    return
                continue
            take(readable)


def listen(port, *addresses):
    sockets = {}
    for address in addresses:
        into = socket.socket(family_of(address), socket.SOCK_DGRAM)
        if into.family == socket.AF_INET6:
            into.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        else:
            into.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        into.bind((address, int(port)))
        sockets[into] = address

    def take(into):
        payload, controls, _, _ = into.recvmsg(65536, 256)
        tos = 0
        for _, _, value in controls:
            tos = value[0]
        say({"to": sockets[into], "tos": tos, "hex": payload.hex()})

    watch(sockets, take)


def tos_of(packet):
    if packet[0] >> 4 == 4:
        return packet[1], packet[(packet[0] & 15) * 4 :], packet[9]
    return (packet[0] & 15) << 4 | packet[1] >> 4, packet[40:], packet[6]


def outside(device, port):
    everything = socket.htons(3)
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, everything)
    sniffer.bind((device, 3))

    def take(sniffer):
        try:
            packet, (_, protocol, kind, _, _) = sniffer.recvfrom(65536)
        except OSError:  # the device goes with its namespace
            sys.exit()
        if kind == socket.PACKET_OUTGOING or protocol not in (0x0800, 0x86DD):
            return
        outer, datagram, transport = tos_of(packet)
        if transport != 17 or int.from_bytes(datagram[2:4], "big") != int(port):
            return
        inner, _, _ = tos_of(datagram[8 + 8 + 14 :])
        say({"outer": outer, "inner": inner})

    watch([sniffer], take)


{"send": send, "listen": listen, "outside": outside}[sys.argv[1]](*sys.argv[2:])
