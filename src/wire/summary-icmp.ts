/** ICMP (RFC 792, RFC 1191) and ICMPv6 (RFC 4443, RFC 4861) messages in a few words. */
import { IpAddress } from '../net/ip.js';

const UNREACHABLE_V4 = [
  ...['net', 'host', 'protocol', 'port', 'fragmentation needed', 'source route failed', 'net unknown'],
  ...['host unknown', 'source isolated', 'net prohibited', 'host prohibited', 'net for TOS', 'host for TOS'],
  ...['prohibited', 'host precedence', 'precedence cutoff'],
];
const UNREACHABLE_V6 = [
  'no route',
  'prohibited',
  'beyond scope',
  'address',
  'port',
  'source failed policy',
  'rejected',
];
const NEIGHBOUR: { readonly [type: number]: string } = {
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbour solicitation',
  136: 'neighbour advertisement',
};

/** `quote` tells of the packet that an error is about. */
type Quote = (bytes: Uint8Array) => string;

export function icmpText(bytes: Uint8Array, length: number, quote: Quote): string {
  if (bytes.length < 8) return 'header cut';
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [type, code] = [view.getUint8(0), view.getUint8(1)];
  const about = () => aboutText(quote(bytes.subarray(8)));
  if (type === 8 || type === 0) return `echo ${type === 8 ? 'request' : 'reply'} ${echoText(view, length)}`;
  if (type === 3 && code === 4) return `fragmentation needed, MTU ${view.getUint16(6)}${about()}`;
  if (type === 3) return `unreachable: ${UNREACHABLE_V4[code] ?? `code ${code}`}${about()}`;
  if (type === 5) return `redirect to ${IpAddress.fromBytes(bytes.subarray(4, 8))}${about()}`;
  if (type === 11) return `time exceeded${about()}`;
  if (type === 12) return `parameter problem${about()}`;
  return `type ${type} code ${code} len ${length}`;
}

export function icmpV6Text(bytes: Uint8Array, length: number, quote: Quote): string {
  if (bytes.length < 8) return 'header cut';
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [type, code] = [view.getUint8(0), view.getUint8(1)];
  const about = () => aboutText(quote(bytes.subarray(8)));
  if (type === 128 || type === 129)
    return `echo ${type === 128 ? 'request' : 'reply'} ${echoText(view, length)}`;
  if (type === 1) return `unreachable: ${UNREACHABLE_V6[code] ?? `code ${code}`}${about()}`;
  if (type === 2) return `packet too big, MTU ${view.getUint32(4)}${about()}`;
  if (type === 3) return `time exceeded${about()}`;
  if (type === 4) return `parameter problem${about()}`;
  const name = NEIGHBOUR[type];
  if (name !== undefined && type >= 135 && bytes.length >= 24)
    return `${name} ${IpAddress.fromBytes(bytes.subarray(8, 24))}`;
  return name ?? `type ${type} code ${code} len ${length}`;
}

function echoText(view: DataView, length: number): string {
  return `id ${view.getUint16(4)} seq ${view.getUint16(6)} len ${length}`;
}

function aboutText(quoted: string): string {
  return quoted === '' ? '' : ` about ${quoted}`;
}
