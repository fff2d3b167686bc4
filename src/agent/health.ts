/** What the agent answers on its health port. */
import type { IpAddress } from '../net/ip.js';
import { HealthServer } from '../observe/health-server.js';
import { type DataplaneSample, Metrics, type MetricsSample } from '../observe/metrics.js';
import type { Clock } from './clock.js';
import type { Readiness } from './readiness.js';
import { packageVersion } from './version.js';

/** `dataplane`: null until there is one. Throws ERR_TWILL_HEALTH. */
export async function openHealth(
  place: { readonly ip: IpAddress; readonly port: number },
  readiness: Readiness,
  clock: Clock,
  dataplane: () => DataplaneSample | null,
): Promise<HealthServer> {
  const metrics = await Metrics.open(() => metricsSample(dataplane(), readiness, clock));
  return HealthServer.listen({
    ...{ ...place, missing: () => readiness.missing },
    pages: { '/metrics': () => metrics.page() },
  });
}

function metricsSample(dataplane: DataplaneSample | null, readiness: Readiness, clock: Clock): MetricsSample {
  const conditions = Object.entries(readiness.conditions).map(([name, missing]) => [name, missing === null]);
  return {
    ...{ version: packageVersion(), nowMs: clock.nowMs(), isReady: readiness.isReady },
    ...{ conditions: Object.fromEntries(conditions), dataplane },
  };
}
