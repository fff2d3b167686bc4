/** What the findings of a probe mean, and what to do about it. Pure. */
import type { ProbeResult } from './probe.js';

export interface Verdict {
  readonly kind: 'ok' | 'path-mtu' | 'port-closed' | 'tunnel-blocked' | 'overlay' | 'unreachable';
  /** What is so. */
  readonly text: string;
  /** What to do about it; '': nothing. */
  readonly advice: string;
}

export function verdictOf(found: Omit<ProbeResult, 'verdict'>): Verdict {
  const { plan, underlay, tunnel, overlay, pathMtuBytes, neededBytes } = found;
  const { endpoint, device } = plan;
  const port = `UDP port ${endpoint.port}`;
  if (tunnel.rttMs === null && tunnel.said === 'port unreachable')
    return {
      kind: 'port-closed',
      text: `the node answers, but nobody listens on its ${port}`,
      advice: 'start the agent or flanneld there; compare Backend and Port of both nodes',
    };
  if (tunnel.rttMs === null && underlay.rttMs === null) {
    const why = tunnel.said ?? underlay.said;
    return {
      kind: 'unreachable',
      text: why === null ? 'nothing answers' : `nothing answers: ${why}`,
      advice: `see that the node is up and that "ip route get ${endpoint.address}" leads to it`,
    };
  }
  if (tunnel.rttMs === null)
    return {
      kind: 'tunnel-blocked',
      text: `underlay ok, overlay not: the node answers, but not through ${port}`,
      advice:
        `let UDP to and from port ${endpoint.port} through every firewall between; see that the peer's agent runs and ` +
        'lists this node (twill peers there)',
    };
  if (pathMtuBytes !== null && pathMtuBytes < neededBytes)
    return {
      kind: 'path-mtu',
      text: `the path carries packets of ${pathMtuBytes} bytes, the overlay needs ${neededBytes}`,
      advice:
        `raise the MTU along the path to ${neededBytes}, or give the underlay interface of all nodes an MTU of ` +
        `${pathMtuBytes} and restart their agents`,
    };
  if (overlay.rttMs === null)
    return {
      kind: 'overlay',
      text: `the tunnel carries packets, but what we send to ${plan.peerAddress} by way of ${device} gets no answer`,
      advice: `see whether ${device} is up and "ip route get ${plan.peerAddress}" leads to it; twill capture --drop=any shows drops`,
    };
  return { kind: 'ok', text: `reachable, and packets of ${neededBytes} bytes pass`, advice: '' };
}
