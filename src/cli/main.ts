#!/usr/bin/env node
/** The executable: wires the process (signals, streams, exit code) to `dispatch`. */
import { basename } from 'node:path';
import { type CommandIo, exitCode } from './command.js';
import { dispatch, PROGRAMS, type Program } from './dispatch.js';

/** Ctrl-C under npm comes twice, from the terminal and from npm: only what comes later is a second wish. */
const SAME_WISH_MS = 500;

/** A link named `flanneld` or `install-conf` makes us that. Node leaves the link's name in place. */
function programName(): Program {
  const name = basename(process.argv[1] ?? '').replace(/\.m?js$/, '');
  return PROGRAMS.find((program) => program === name) ?? 'twill';
}

async function start(): Promise<never> {
  const stopping = new AbortController();
  let stoppedAtMs = 0;
  const reloadListeners = new Set<() => void>();
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.on(signal, () => {
      if (signal === 'SIGHUP' && reloadListeners.size > 0) {
        for (const listener of reloadListeners) listener();
        return;
      }
      if (stopping.signal.aborted && performance.now() - stoppedAtMs > SAME_WISH_MS)
        process.exit(128 + number);
      if (stopping.signal.aborted) return;
      stoppedAtMs = performance.now();
      stopping.abort();
    });
  }
  // `twill peers | head`: the reader has seen enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? exitCode.done : exitCode.failed);
  });
  // Nobody listens any more, which is no reason to leave work undone.
  process.stderr.on('error', () => {});
  const io: CommandIo = {
    stdout: (line) => process.stdout.write(`${line}\n`),
    stderr: (line) => process.stderr.write(`${line}\n`),
    env: process.env,
    signal: stopping.signal,
    onReload: (listener) => {
      reloadListeners.add(listener);
      return () => reloadListeners.delete(listener);
    },
  };
  process.exit(await dispatch(process.argv.slice(2), io, programName()));
}

void start();
