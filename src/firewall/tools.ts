/** Runs the host's firewall programs: argument vectors and standard input, never a shell. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface ToolResult {
  /** Exit code; null: it was ended, or could not be started. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Tools {
  /** Where a program is; null: nowhere. */
  find(name: string): string | null;
  run(file: string, args: readonly string[], input?: string): Promise<ToolResult>;
}

/** A service's PATH may lack them. */
const ALSO_IN = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
/** Far beyond what a host with a hundred thousand rules needs. */
const LONGEST_RUN_MS = 30_000;
const LONGEST_OUTPUT_BYTES = 256 * 1024 * 1024;
const LONGEST_COMPLAINT_CHARS = 4096;

export const hostTools: Tools = {
  find(name) {
    const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder.startsWith('/'));
    for (const folder of [...folders, ...ALSO_IN]) {
      const path = join(folder, name);
      if (isExecutable(path)) return path;
    }
    return null;
  },

  run(file, args, input = '') {
    return new Promise((resolve) => {
      const env = { ...process.env, LC_ALL: 'C' };
      const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
      const output: Buffer[] = [];
      let outputBytes = 0;
      let stderr = '';
      const end = (status: number | null) => {
        clearTimeout(limit);
        resolve({ status, stdout: Buffer.concat(output).toString('utf8'), stderr });
      };
      const stop = (why: string) => {
        stderr = `${why}\n${stderr}`;
        child.kill('SIGKILL');
      };
      const limit = setTimeout(
        () => stop(`it did not end within ${LONGEST_RUN_MS / 1000} s`),
        LONGEST_RUN_MS,
      );
      child.once('error', (error) => {
        stderr = error.message;
        end(null);
      });
      child.once('close', (status) => end(status));
      child.stdout.on('data', (bytes: Buffer) => {
        outputBytes += bytes.length;
        if (outputBytes > LONGEST_OUTPUT_BYTES)
          return stop(`more than ${LONGEST_OUTPUT_BYTES} bytes of output`);
        output.push(bytes);
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr = (stderr + text).slice(-LONGEST_COMPLAINT_CHARS);
      });
      // One that ends early closes its input.
      child.stdin.on('error', () => {});
      child.stdin.end(input);
    });
  },
};

/** What a program says of its failure, in one line without remarks and advice. */
export function complaint({ status, stderr }: ToolResult): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const told = lines.filter((line) => line !== '' && !/^(#|Try `|\^+$)/.test(line)).join(' ');
  return told === '' ? `exit code ${status}` : told.slice(0, 300);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
