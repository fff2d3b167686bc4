/** What a process used between two moments. */
import { GCProfiler } from 'node:v8';

export interface Usage {
  /** On V8's heap, whatever became of it. */
  readonly allocatedBytes: number;
  readonly collections: number;
  readonly processorMicros: number;
  /** Resident memory at the end. */
  readonly residentBytes: number;
  /** In use on V8's heap at the end, after a collection where the process may ask for one (`--expose-gc`). */
  readonly heapBytes: number;
}

export class Meter {
  readonly #profiler = new GCProfiler();
  readonly #usedBytes: number;
  readonly #processor = process.cpuUsage();

  constructor() {
    this.#profiler.start();
    this.#usedBytes = process.memoryUsage().heapUsed;
  }

  /** Each collection says what was in use before and after it: what came in between was allocated. */
  stop(): Usage {
    const { user, system } = process.cpuUsage(this.#processor);
    const endBytes = process.memoryUsage().heapUsed;
    const { statistics } = this.#profiler.stop();
    let [usedBytes, allocatedBytes] = [this.#usedBytes, 0];
    for (const { beforeGC, afterGC } of statistics) {
      allocatedBytes += Math.max(beforeGC.heapStatistics.usedHeapSize - usedBytes, 0);
      usedBytes = afterGC.heapStatistics.usedHeapSize;
    }
    allocatedBytes += Math.max(endBytes - usedBytes, 0);
    (globalThis as { gc?: () => void }).gc?.();
    const { heapUsed: heapBytes, rss: residentBytes } = process.memoryUsage();
    return {
      ...{ allocatedBytes, residentBytes, heapBytes },
      collections: statistics.length,
      processorMicros: user + system,
    };
  }
}
