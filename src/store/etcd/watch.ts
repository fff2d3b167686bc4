/**
 * Follows the leases: one listing, then events from the next revision on, on whichever member serves. After a break it
 * goes on where it stopped. It lists afresh where etcd has forgotten what came since (compaction), or where its history
 * is not the one we followed (a backup was restored).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { TwillError } from '../../errors.js';
import type { EtcdClient } from './client.js';
import { failureText, unavailable } from './failure.js';
import type { Keys } from './keys.js';
import type { WatchResponse } from './messages.js';
import type { Mirror } from './mirror.js';
import { RANGE, WATCH } from './rpc.js';

const FIRST_RETRY_MS = 100;
/** With a quarter more, two seconds: so soon after its return we are up to date. */
const LONGEST_RETRY_MS = 1600;
/** Who is refused asks seldom: each password that etcd looks at costs it a tenth of a second. */
const LONGEST_REFUSED_RETRY_MS = 30_000;
const CREATED_WITHIN_MS = 5000;
/** How often we make sure that nothing has escaped us. */
const PROGRESS_EACH_MS = 10_000;

export interface WatchParts {
  readonly client: EtcdClient;
  readonly keys: Keys;
  /** A listing that is there already. */
  readonly start: Mirror | null;
  /** Lists afresh. */
  readonly list: (before: Mirror | null, signal: AbortSignal) => Promise<Mirror>;
  readonly onChange: (mirror: Mirror) => void;
  /** null: up to date as of now. */
  readonly onTrouble: (error: Error | null) => void;
}

/** Events from here on are lost: only a listing helps. */
class HistoryLost extends Error {}

/** The token had expired; there is a new one now. */
class TokenRenewed extends Error {}

/** Until `signal` aborts. */
export async function followLeases(parts: WatchParts, signal: AbortSignal): Promise<void> {
  const { start, list, onChange, onTrouble } = parts;
  let mirror = start;
  let isCurrent = start !== null;
  let failures = 0;
  let hasRenewed = false;
  let longestMs = LONGEST_RETRY_MS;
  if (start) onChange(start);
  while (!signal.aborted) {
    try {
      if (!mirror || !isCurrent) {
        const before: Mirror | null = mirror;
        mirror = await list(before, signal);
        if (before && !mirror.continues(before)) onTrouble(restored(before.revision, mirror.revision));
        isCurrent = true;
        onChange(mirror);
        onTrouble(null);
      }
      await follow(mirror, parts, signal, () => {
        failures = 0;
      });
    } catch (error) {
      if (signal.aborted) return;
      // At once, before the new one expires too; but not for ever.
      const again: boolean = error instanceof TokenRenewed && !hasRenewed;
      hasRenewed = again;
      if (again) continue;
      failures += 1;
      const isRefused = error instanceof TwillError && error.code === 'ERR_TWILL_STORE';
      longestMs = isRefused ? LONGEST_REFUSED_RETRY_MS : LONGEST_RETRY_MS;
      if (error instanceof HistoryLost) isCurrent = false;
      // That one member goes away is no trouble while another one serves at once.
      else if (failures > 1 || error instanceof TwillError) onTrouble(error as Error);
    }
    await delay(retryMs(failures, longestMs), undefined, { signal }).catch(() => {});
  }
}

/** Ends by throwing. */
async function follow(
  mirror: Mirror,
  parts: WatchParts,
  signal: AbortSignal,
  onBegun: () => void,
): Promise<void> {
  const { client, keys, onChange, onTrouble } = parts;
  const { stream, connection } = await client.stream(WATCH, signal);
  const cancel = () => stream.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  const notCreated = setTimeout(cancel, CREATED_WITHIN_MS);
  const progress = setInterval(() => stream.write({ progress: {} }), PROGRESS_EACH_MS);
  try {
    const from = { key: keys.subnets, rangeEnd: keys.subnetsEnd, startRevision: mirror.revision + 1n };
    stream.write({ create: from });
    for await (const answer of stream as AsyncIterable<WatchResponse>) {
      if (answer.canceled) throw await canceled(answer, parts, signal);
      if (answer.header && !mirror.isOfSameHistory(answer.header)) throw new HistoryLost();
      if (answer.created) {
        clearTimeout(notCreated);
        onBegun();
      }
      if (mirror.apply(answer)) onChange(mirror);
      onTrouble(null);
    }
    throw new Error('the watch ended');
  } catch (error) {
    if (error instanceof HistoryLost || error instanceof TokenRenewed || error instanceof TwillError)
      throw error;
    client.failed(connection);
    throw new Error(`etcd at ${connection.endpoint}: ${failureText(error)}`, { cause: error });
  } finally {
    clearTimeout(notCreated);
    clearInterval(progress);
    signal.removeEventListener('abort', cancel);
    stream.cancel();
  }
}

async function canceled(
  { compactRevision, cancelReason }: WatchResponse,
  { client, keys }: WatchParts,
  signal: AbortSignal,
): Promise<Error> {
  if (compactRevision !== 0n) return new HistoryLost();
  // Of a watch etcd says so where the token has expired, too. A call tells, and renews the token if that is it.
  if (/permission denied|auth token|unauthenticated/i.test(cancelReason)) {
    await client.call(RANGE, { key: keys.config }, { signal });
    return new TokenRenewed(cancelReason);
  }
  return unavailable(`etcd ended the watch: ${cancelReason || 'no reason given'}`);
}

function restored(before: bigint, now: bigint): TwillError {
  return unavailable(
    `etcd's history is another one (revision ${before} then, ${now} now), as after restoring a backup: all leases are compared afresh`,
  );
}

/** A quarter up or down, so that nodes do not march in step. */
function retryMs(failures: number, longestMs: number): number {
  const step = Math.min(FIRST_RETRY_MS * 2 ** Math.max(failures - 1, 0), longestMs);
  return step * (0.75 + 0.5 * Math.random());
}
