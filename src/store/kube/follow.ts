/**
 * Follows the nodes: one listing, then a watch from there on. A watch ends often, since servers close them every few
 * minutes; the next one goes on where it stopped. It lists afresh where the server has forgotten what came since (410), or
 * where its history is not the one we followed (etcd was restored from a backup).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { TwillError } from '../../errors.js';
import { failureText, Refused, unavailable } from './failure.js';
import { currentVersion, type ListParts, listNodes } from './list.js';
import type { NodeMirror } from './mirror.js';
import { fieldsOf, seenNode } from './node.js';
import { watchNodes as WATCH } from './requests.js';
import { LineSplitter } from './splitters.js';

const FIRST_RETRY_MS = 100;
/** Of a server that cannot be reached. With a quarter more, two seconds: so soon after its return we are up to date. */
const LONGEST_RETRY_MS = 1600;
/** Of a server that has too much to do, or refuses us. */
const LONGEST_REFUSED_RETRY_MS = 30_000;
/** What we ask a server to close a watch after; a random share more, so that nodes do not march in step. */
const WATCH_S = 300;
/** Bookmarks come each minute. A watch that brings neither them nor anything else is begun anew, which costs little. */
const SILENT_AT_MOST_MS = 75_000;
/** A watch that lasts so long has served: what follows is no repetition. */
const GOOD_WATCH_MS = 5000;

export interface FollowParts extends ListParts {
  /** A listing that is there already. */
  readonly start: NodeMirror | null;
  readonly newMirror: () => NodeMirror;
  readonly onChange: (mirror: NodeMirror) => void;
  /** null: up to date as of now. */
  readonly onTrouble: (error: Error | null) => void;
  /** Default 75 s. */
  readonly silentAtMostMs?: number;
}

/** Events from here on are lost: only a listing helps. */
class HistoryLost extends Error {}

/** Until `signal` aborts. */
export async function followNodes(parts: FollowParts, signal: AbortSignal): Promise<void> {
  const { start, onChange, onTrouble } = parts;
  let mirror = start;
  let isCurrent = start !== null;
  /** The server may have become another one meanwhile. */
  let isDoubtful = false;
  let failures = 0;
  if (start) onChange(start);
  while (!signal.aborted) {
    let longestMs = LONGEST_RETRY_MS;
    let leastMs = 0;
    const beganMs = performance.now();
    try {
      if (mirror && isCurrent && isDoubtful) {
        const nowAt = await currentVersion(parts, signal);
        if (isBefore(nowAt, mirror.resourceVersion)) throw new HistoryLost();
        isDoubtful = false;
      }
      if (!mirror || !isCurrent) {
        const listed: NodeMirror = await mirrorOfAll(parts, mirror, signal);
        const isNews = !mirror?.equals(listed);
        mirror = listed;
        isCurrent = true;
        isDoubtful = false;
        if (isNews) onChange(mirror);
        onTrouble(null);
      }
      await follow(mirror, parts, signal);
      // It has ended as watches do.
      failures = performance.now() - beganMs >= GOOD_WATCH_MS ? 0 : failures + 1;
    } catch (error) {
      if (signal.aborted) return;
      if (performance.now() - beganMs >= GOOD_WATCH_MS) failures = 0;
      failures += 1;
      if (error instanceof HistoryLost) {
        isCurrent = false;
        // Listings are dear: a server that forgets all the time gets fewer of them.
        longestMs = LONGEST_REFUSED_RETRY_MS;
      } else {
        isDoubtful = true;
        if (error instanceof Refused) {
          longestMs = LONGEST_REFUSED_RETRY_MS;
          leastMs = error.retryAfterMs;
        }
        // That a connection breaks is no trouble while a new one serves at once.
        if (failures > 1 || error instanceof TwillError) onTrouble(error as Error);
      }
    }
    await delay(Math.max(retryMs(failures, longestMs), leastMs), undefined, { signal }).catch(() => {});
  }
}

/** A complete listing; what has not changed stays the same object as in `before`. */
export async function mirrorOfAll(
  { newMirror, ...parts }: Pick<FollowParts, 'client' | 'view' | 'newMirror'>,
  before: NodeMirror | null,
  signal?: AbortSignal,
): Promise<NodeMirror> {
  let mirror = newMirror();
  const resourceVersion = await listNodes(
    parts,
    {
      onStart: () => {
        mirror = newMirror();
      },
      onNode: (node) => mirror.put(node, before),
    },
    signal,
  );
  mirror.resourceVersion = resourceVersion;
  return mirror;
}

/** One watch, to its end. Throws where it does not end well. */
async function follow(mirror: NodeMirror, parts: FollowParts, signal: AbortSignal): Promise<void> {
  const { client, onTrouble, silentAtMostMs = SILENT_AT_MOST_MS } = parts;
  const query = {
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: mirror.resourceVersion,
    timeoutSeconds: String(WATCH_S + Math.floor(Math.random() * WATCH_S)),
  };
  const answer = await client.stream(WATCH, { query, signal }).catch((error) => {
    throw error instanceof Refused && isForgotten(error.status, error.message) ? new HistoryLost() : error;
  });
  onTrouble(null);
  let isSilent = false;
  const timer = setTimeout(() => {
    isSilent = true;
    answer.destroy();
  }, silentAtMostMs);
  const lines = new LineSplitter((line) => take(line, mirror, parts));
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      timer.refresh();
      lines.write(chunk);
    }
  } catch (error) {
    if (isSilent) return;
    if (error instanceof TwillError || error instanceof HistoryLost) throw error;
    throw new Error(`the watch of nodes broke: ${failureText(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
    answer.destroy();
  }
}

function take(line: string, mirror: NodeMirror, { view, onChange, onTrouble }: FollowParts): void {
  const { type, object } = fieldsOf(JSON.parse(line));
  if (type === 'ERROR') throw watchError(object);
  const { resourceVersion, ...node } =
    type === 'BOOKMARK' ? { resourceVersion: bookmarkVersion(object) } : seenNode(object, view);
  // Versions of one history only rise.
  if (isBefore(resourceVersion, mirror.resourceVersion)) throw new HistoryLost();
  mirror.resourceVersion = resourceVersion;
  let isNews = false;
  if ('facts' in node) {
    if (type === 'DELETED') isNews = mirror.drop(node.facts.name);
    else if (type === 'ADDED' || type === 'MODIFIED') isNews = mirror.put({ ...node, resourceVersion });
  }
  if (isNews) onChange(mirror);
  onTrouble(null);
}

function bookmarkVersion(object: unknown): string {
  const { resourceVersion } = fieldsOf(fieldsOf(object)['metadata']);
  if (typeof resourceVersion === 'string' && resourceVersion !== '') return resourceVersion;
  throw new Error('a bookmark without a resourceVersion');
}

/** A Status object within a watch. */
function watchError(object: unknown): Error {
  const { code, message } = fieldsOf(object);
  const text = typeof message === 'string' ? message.replace(/\s+/g, ' ').slice(0, 300) : 'no reason given';
  if (isForgotten(Number(code), text)) return new HistoryLost();
  return unavailable(`the API server ended the watch of nodes: ${text}`);
}

/** It no longer knows of then, or does not know of it yet. */
function isForgotten(status: number, message: string): boolean {
  return status === 410 || (status === 504 && /too large resource version/i.test(message));
}

/** Versions are decimal numbers of any size; of anything else nobody can tell. */
function isBefore(a: string, b: string): boolean {
  if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return false;
  return a.length === b.length ? a < b : a.length < b.length;
}

/** A quarter up or down, so that nodes do not march in step. */
function retryMs(failures: number, longestMs: number): number {
  const step = Math.min(FIRST_RETRY_MS * 2 ** Math.max(failures - 1, 0), longestMs);
  return step * (0.75 + 0.5 * Math.random());
}
