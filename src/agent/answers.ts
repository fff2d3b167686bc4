/** What a running node answers on its control socket and to who reads its metrics. */
import { TwillError } from '../errors.js';
import { IpAddress } from '../net/ip.js';
import type { Json } from '../net/json.js';
import { type ControlHandlers, type ControlStream, JsonRows } from '../observe/control-socket.js';
import type { DataplaneSample } from '../observe/metrics.js';
import { captureStream } from './capture.js';
import { hostTroubles } from './host-settings.js';
import { dataplaneSample, SubnetTexts } from './metrics-sample.js';
import { addressParameter, textParameter } from './parameters.js';
import { localTexts, peerJson } from './peer-choice.js';
import type { Readiness } from './readiness.js';
import type { Running } from './running.js';
import { agentStatus, peerRows, subnetText } from './status.js';
import type { AgentStatus, PeerStatus, TraceStatus } from './told.js';
import { traceStatus } from './trace.js';
import { TrafficWatch, trafficRequest } from './traffic.js';
import { packageVersion } from './version.js';

export class Answers {
  readonly #running: Running;
  readonly #subnetTexts = new SubnetTexts();
  readonly #traffic: TrafficWatch;

  constructor(running: Running) {
    this.#running = running;
    this.#traffic = new TrafficWatch(running.plane);
  }

  /** Where we are at the moment, and who. */
  #whereabouts() {
    const { underlay, whereabouts } = this.#running;
    return { underlay: underlay.underlay, underlayMoves: underlay.moves, node: whereabouts.node };
  }

  status(): AgentStatus {
    const { parts, holder, clock, startedAtMs, device, firewall, readiness, ...running } = this.#running;
    return agentStatus({
      ...running,
      ...this.#whereabouts(),
      readiness: readiness.conditions,
      version: packageVersion(),
      lease: holder.lease,
      leaseRenewsAtMs: holder.renewsAtMs,
      deviceTrouble: device.trouble,
      hostTroubles: hostTroubles(this.#running.hostNeeds).map(({ text }) => text),
      firewall: firewall.status(),
      storeDescription: parts.store.description,
      upMs: clock.nowMs() - startedAtMs,
    });
  }

  peers(): Generator<PeerStatus> {
    const { peers, plane } = this.#running;
    return peerRows(peers.entries, plane);
  }

  /** Throws ERR_TWILL_ARGUMENT. */
  traffic(params: Json): Json {
    const { plane, holder } = this.#running;
    const node = { subnet: subnetText(holder.lease.subnets), device: plane.deviceName };
    return { node, ...this.#traffic.look(trafficRequest(params)) };
  }

  dataplane(): DataplaneSample {
    const { holder, device, clock, ...running } = this.#running;
    const { lease, renewsAtMs: leaseRenewsAtMs } = holder;
    const now = { ...this.#whereabouts(), deviceTrouble: device.trouble, nowMs: clock.nowMs() };
    return dataplaneSample({ ...running, ...now, lease, leaseRenewsAtMs }, this.#subnetTexts);
  }

  /** The peer that somebody means, and what lies between it and us. Throws ERR_TWILL_ADDRESS, _ARGUMENT or _CONTROL. */
  peer(params: Json): Json {
    const { backend, holder, peers, plane } = this.#running;
    if (backend.carrier !== 'tunnel')
      throw new TwillError('ERR_TWILL_CONTROL', `backend ${backend.type} has no tunnel to probe: use ping`);
    const { underlay } = this.#whereabouts();
    const node = { backend, plane, underlay, ownSubnets: holder.lease.subnets, entries: peers.entries };
    return peerJson(textParameter(params, 'peer'), node);
  }

  /** What passes the plane. Throws ERR_TWILL_ARGUMENT, _ADDRESS or _CONTROL. */
  capture(params: Json): ControlStream {
    const { backend, peers, plane } = this.#running;
    const { underlay, node } = this.#whereabouts();
    const { encap, port } = backend.carrier === 'tunnel' ? backend : { encap: null, port: 0 };
    return captureStream(params, plane, peers.entries, {
      ...{ device: plane.deviceName, encap, port, mtuBytes: plane.mtuBytes },
      addresses: localTexts(underlay),
      mac: node.mac?.toString() ?? null,
    });
  }

  /** Throws ERR_TWILL_ADDRESS. */
  trace(address: string): TraceStatus {
    const { plane, peers, holder } = this.#running;
    const destination = IpAddress.parse(address);
    return traceStatus({
      ...{ destination, found: plane.trace(destination), stats: plane.peerStats() },
      ...{ entries: peers.entries, quarantined: peers.quarantined, ownSubnets: holder.lease.subnets },
    });
  }
}

/** The requests by name. `answers` is null while the agent is starting: then each says what that waits for. */
export function controlHandlers(answers: () => Answers | null, readiness: Readiness): ControlHandlers {
  const started = (): Answers => {
    const running = answers();
    if (running) return running;
    const waiting = readiness.missing[0] ?? 'ask again in a moment';
    throw new TwillError('ERR_TWILL_CONTROL', `the agent is still starting: ${waiting}`);
  };
  return {
    status: () => started().status(),
    peers: () => new JsonRows(started().peers()),
    trace: (params) => started().trace(addressParameter(params)),
    traffic: (params) => started().traffic(params),
    peer: (params) => started().peer(params),
    capture: (params) => started().capture(params),
  };
}
