/**
 * Ticks when folders may have changed: by inotify, some milliseconds after the last of a burst; every few seconds anyway,
 * for file systems that notify nobody (NFS); and with a growing pause after a failure.
 */
import { type FSWatcher, watch } from 'node:fs';

const BURST_MS = 20;
/** A burst without end must not delay a tick for ever. */
const LONGEST_BURST_MS = 200;
const RESCAN_MS = 5000;
const FIRST_RETRY_MS = 100;

export interface DirectoryChanges {
  /** The first tick comes at once; the last has gone when the signal aborts. */
  ticks(): AsyncIterable<void>;
  /** What the last tick led to has failed: tick again soon, and watch anew. */
  retry(): void;
}

export function watchDirectories(paths: readonly string[], signal: AbortSignal): DirectoryChanges {
  let watchers: FSWatcher[] = [];
  let dueAtMs = 0;
  let burstSinceMs: number | null = null;
  let retryMs = 0;
  let wake = () => {};
  const nowMs = () => performance.now();

  const close = () => {
    for (const watcher of watchers) watcher.close();
    watchers = [];
  };
  const onChange = () => {
    burstSinceMs ??= nowMs();
    dueAtMs = Math.min(nowMs() + BURST_MS, burstSinceMs + LONGEST_BURST_MS);
    wake();
  };
  const open = () => {
    close();
    for (const path of paths) {
      try {
        const watcher = watch(path, { persistent: false }, onChange);
        // A folder that goes takes its watch with it: the next failing tick opens it again.
        watcher.on('error', () => watcher.close());
        watchers.push(watcher);
      } catch {
        // Not there, or no inotify left: the rescan finds changes too.
      }
    }
  };

  async function* ticks(): AsyncIterable<void> {
    open();
    const onAbort = () => wake();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        const waitMs = dueAtMs - nowMs();
        if (waitMs > 0) {
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, waitMs);
            wake = () => {
              clearTimeout(timer);
              resolve();
            };
            if (signal.aborted) wake();
          });
          continue;
        }
        burstSinceMs = null;
        dueAtMs = nowMs() + RESCAN_MS;
        const failuresBefore = retryMs;
        yield;
        if (retryMs === failuresBefore) retryMs = 0;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      close();
    }
  }

  return {
    ticks,
    retry() {
      retryMs = Math.min(Math.max(retryMs * 2, FIRST_RETRY_MS), RESCAN_MS);
      dueAtMs = nowMs() + retryMs;
      open();
    },
  };
}
