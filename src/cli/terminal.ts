/**
 * The terminal as a screen: raw keys, and a page of its own that goes again. However the process ends, short of SIGKILL,
 * the terminal is given back as it was.
 */
import type { ReadStream, WriteStream } from 'node:tty';

export interface Screen {
  size(): { readonly columns: number; readonly rows: number };
  /** Replaces what is shown; lines that do not fit are the caller's fault. */
  draw(lines: readonly string[]): void;
  close(): void;
}

export interface Terminal {
  open(onKey: (key: string) => void, onResize: () => void): Screen;
}

const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';

/** null: no terminal on both sides, or one that knows no escape sequences. */
export function processTerminal(): Terminal | null {
  const { stdin, stdout, env } = process;
  if (!stdin.isTTY || !stdout.isTTY || env['TERM'] === 'dumb') return null;
  return { open: (onKey, onResize) => openScreen({ stdin, stdout }, onKey, onResize) };
}

function openScreen(
  { stdin, stdout }: { readonly stdin: ReadStream; readonly stdout: WriteStream },
  onKey: (key: string) => void,
  onResize: () => void,
): Screen {
  let isOpen = true;
  const onData = (text: string) => {
    // An escape sequence (an arrow, a paste) is one key that nobody knows.
    if (text.startsWith('\x1b')) return;
    for (const key of text) onKey(key);
  };
  const close = () => {
    if (!isOpen) return;
    isOpen = false;
    stdin.off('data', onData).pause();
    stdout.off('resize', onResize);
    process.off('exit', close).off('uncaughtExceptionMonitor', close);
    try {
      stdin.setRawMode(false);
      stdout.write(LEAVE);
    } catch {
      // The terminal is gone: there is nothing to give back.
    }
  };
  process.on('exit', close).on('uncaughtExceptionMonitor', close);
  stdin.setRawMode(true);
  stdin.setEncoding('utf8').on('data', onData).resume();
  stdout.on('resize', onResize);
  stdout.write(ENTER);
  return {
    size: () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }),
    draw: (lines) => {
      // One write, no clearing in between: nothing flickers.
      if (isOpen) stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`);
    },
    close,
  };
}
